/* Syncing one account after the other, with a bar that shows how far it is. Without this script the
   form is sent as it stands, and the page after it tells the same. */

"use strict";

(function () {
  function begin(form) {
    const panel = document.getElementById(form.dataset.wechatSync);
    const bar = panel.querySelector("progress");
    const status = panel.querySelector("[role=status]");
    const clock = panel.querySelector(".wechat-sync__clock");
    const list = panel.querySelector("ul");

    async function ask(account) {
      const body = new FormData(form);
      body.set("account", account);
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
      status.textContent = account + ": " + panel.dataset.asking;
      return window.setInterval(function () {
        clock.textContent = Math.round((performance.now() - begun) / 1000) + " s";
      }, 1000);
    }

    async function run(accounts) {
      form.hidden = true;
      panel.hidden = false;
      panel.querySelector("h2").focus();
      bar.max = accounts.length;
      // With a single one there is nothing to count: the bar only shows that something happens.
      if (accounts.length > 1) bar.value = 0;
      for (const [index, account] of accounts.entries()) {
        const timer = count(account);
        const entry = document.createElement("li");
        try {
          tell(entry, await ask(account));
        } catch (error) {
          tell(entry, [{ tag: "error", text: account + ": " + panel.dataset.noAnswer }]);
        }
        window.clearInterval(timer);
        clock.textContent = "";
        list.append(entry);
        bar.value = index + 1;
      }
      status.textContent = panel.dataset.done;
      panel.querySelector(".wechat-answers").hidden = false;
    }

    form.addEventListener("submit", function (event) {
      const accounts = new FormData(form).getAll("account");
      if (!accounts.length) return; // the server says what is missing
      event.preventDefault();
      run(accounts);
    });
  }

  document.querySelectorAll("[data-wechat-sync]").forEach(begin);
})();
