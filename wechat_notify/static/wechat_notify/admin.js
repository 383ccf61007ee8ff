/* Parts of a page that are asked for again and again: elements with data-wechat-live, an address
   that answers {html, again}. `html` takes the element's place, `again` is the number of seconds
   until the next time, or null when nothing more will happen. An element with data-again waits so
   long before the first time; without it, it is asked for at once. */

"use strict";

(function () {
  const RATE_OVER = 20; // seconds over which the rate is taken
  const TRIES = 5;

  function start(element) {
    const address = element.dataset.wechatLive;
    const samples = [];
    let failures = 0;

    function remember() {
      if (!element.dataset.at) return;
      const at = Number(element.dataset.at);
      samples.push({ done: element.dataset.done, at: element.dataset.at });
      while (samples.length > 2 && at - Number(samples[1].at) >= RATE_OVER) samples.shift();
    }

    function wait(seconds) {
      window.setTimeout(ask, seconds * 1000);
    }

    function show(html) {
      const focused = element.contains(document.activeElement)
        ? document.activeElement.getAttribute("href")
        : null;
      const holder = document.createElement("template");
      holder.innerHTML = html;
      const fresh = holder.content.firstElementChild;
      element.replaceWith(fresh);
      element = fresh;
      hideReload();
      forgetNews();
      if (focused !== null) {
        const again = Array.from(element.querySelectorAll("a[href]")).find(
          (link) => link.getAttribute("href") === focused
        );
        if (again) again.focus({ preventScroll: true });
      }
    }

    // "It is on its way" is no news any more once everything is done.
    function forgetNews() {
      if (!("over" in element.dataset)) return;
      document.querySelectorAll("[data-wechat-until-done]").forEach(function (news) {
        const message = news.closest("li") || news.parentElement;
        const list = message.parentElement;
        message.remove();
        if (!list.childElementCount) list.remove();
      });
    }

    function hideReload() {
      element.querySelectorAll(".wechat-reload").forEach((link) => link.remove());
    }

    async function ask() {
      if (document.hidden) {
        document.addEventListener("visibilitychange", ask, { once: true });
        return;
      }
      try {
        const first = samples[0];
        const query = first ? "?" + new URLSearchParams(first) : "";
        const begun = performance.now();
        const response = await fetch(address + query, {
          credentials: "same-origin",
          headers: { Accept: "application/json" },
          redirect: "error",
        });
        if (!response.ok) throw new Error(String(response.status));
        const answer = await response.json();
        const took = (performance.now() - begun) / 1000;
        failures = 0;
        show(answer.html);
        remember();
        // A slow answer means a busy server or a huge notification: leave it as long in peace.
        if (answer.again !== null) wait(Math.max(answer.again, took));
      } catch (error) {
        // A worker that restarts, a network that is gone for a moment; or a session that ended.
        failures += 1;
        if (failures < TRIES) wait(5 * failures);
        else element.classList.add("wechat-stale");
      }
    }

    hideReload();
    remember();
    if (element.dataset.again) wait(Number(element.dataset.again));
    else if (!("again" in element.dataset)) ask();
  }

  function startAll() {
    document.querySelectorAll("[data-wechat-live]").forEach(start);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", startAll);
  else startAll();
})();
