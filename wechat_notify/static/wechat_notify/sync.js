/* Syncing one account after the other, with a bar that shows how far it is. Without this script the
   form is sent as it stands, and the page after it tells the same. */

"use strict";

(function () {
  function begin(form) {
    const panel = document.getElementById(form.dataset.wechatSync);
    const bar = panel.querySelector("[role=progressbar]");
    const filled = bar.querySelector("rect");
    const status = panel.querySelector("[role=status]");
    const clock = panel.querySelector(".wechat-sync__clock");
    const list = panel.querySelector("ul");

    async function ask(account) {
      const body = new FormData(form);
      body.set("account", account.value);
      const response = await fetch(window.location.href, {
        method: "POST",
        body: body,
        credentials: "same-origin",
        headers: { Accept: "application/json" },
        redirect: "error",
      });
      if (!response.ok) throw new Error(String(response.status));
      return (await response.json()).told;
    }

    function name(account) {
      return account.labels[0].textContent.trim();
    }

    function tell(entry, told) {
      told.forEach(function (one) {
        const line = document.createElement("p");
        line.className = "wechat-sync__told wechat-sync__told--" + one.tag;
        line.textContent = one.text;
        entry.append(line);
      });
    }

    // The seconds show that it is alive: WeChat may take its time, and nobody can hurry it.
    function count(account) {
      const begun = performance.now();
      status.textContent = name(account) + ": " + panel.dataset.asking;
      return window.setInterval(function () {
        clock.textContent = Math.round((performance.now() - begun) / 1000) + " s";
      }, 1000);
    }

    function fill(percent) {
      filled.setAttribute("width", percent);
      bar.setAttribute("aria-valuenow", percent);
    }

    async function run(accounts) {
      form.hidden = true;
      panel.hidden = false;
      panel.querySelector("h2").focus();
      fill(0);
      // With a single one there is nothing to count: the bar only shows that something happens.
      if (accounts.length === 1) {
        bar.removeAttribute("aria-valuenow");
        bar.classList.add("wechat-sync__bar--busy");
      }
      for (const [index, account] of accounts.entries()) {
        const timer = count(account);
        const entry = document.createElement("li");
        try {
          tell(entry, await ask(account));
        } catch (error) {
          tell(entry, [{ tag: "error", text: name(account) + ": " + panel.dataset.noAnswer }]);
        }
        window.clearInterval(timer);
        clock.textContent = "";
        list.append(entry);
        fill(Math.round((100 * (index + 1)) / accounts.length));
      }
      bar.classList.remove("wechat-sync__bar--busy");
      status.textContent = panel.dataset.done;
      panel.querySelector(".wechat-answers").hidden = false;
    }

    form.addEventListener("submit", function (event) {
      const accounts = Array.from(form.querySelectorAll("[name=account]:checked"));
      if (!accounts.length) return; // the server says what is missing
      event.preventDefault();
      run(accounts);
    });
  }

  document.querySelectorAll("[data-wechat-sync]").forEach(begin);
})();
