/* Writing a rule: the sentence, the card, the errors and the choices that depend on each other, as
   the server says them while somebody fills in the form. Everything here is a convenience; the page
   works without it. */

"use strict";

(function () {
  const PAUSE = 300; // milliseconds without a key before the server is asked

  function start(form) {
    const touched = new Set();
    let timer = 0;
    let asked = null;
    let text = null; // the text of the message that was worked on last

    function inputs() {
      return Array.from(form.querySelectorAll("[data-rule-input]"));
    }

    // -- asking -----------------------------------------------------------------------------

    async function ask(pressed) {
      window.clearTimeout(timer);
      if (asked) asked.abort();
      asked = new AbortController();
      const body = new FormData(form);
      form.querySelectorAll("[data-rule-part]").forEach(function (part) {
        body.append("shape_" + part.dataset.rulePart, part.dataset.shape);
      });
      if (pressed) body.append(pressed.name, pressed.value);
      try {
        const response = await fetch(form.dataset.check, {
          method: "POST",
          body: body,
          credentials: "same-origin",
          headers: { Accept: "application/json" },
          redirect: "error",
          signal: asked.signal,
        });
        if (!response.ok) throw new Error(String(response.status));
        show(await response.json());
      } catch (error) {
        // No connection, or an ended session: the next page says so. A newer question is no error.
        if (error.name !== "AbortError") form.classList.add("wechat-rule--stale");
      }
    }

    function askLater() {
      window.clearTimeout(timer);
      // What is being answered does not know this key yet.
      if (asked) asked.abort();
      timer = window.setTimeout(ask, PAUSE);
    }

    // -- showing the answer -----------------------------------------------------------------

    function show(answer) {
      form.classList.remove("wechat-rule--stale");
      const focused = document.activeElement ? document.activeElement.id : "";
      // All of it is made by the app's own templates, every value escaped.
      Object.entries(answer.parts).forEach(function ([name, part]) {
        const element = form.querySelector('[data-rule-part="' + name + '"]');
        element.innerHTML = part.html;
        element.dataset.shape = part.shape;
      });
      Object.entries(answer.shown).forEach(function ([name, html]) {
        const element = form.querySelector('[data-rule-show="' + name + '"]');
        if (element.innerHTML !== html) element.innerHTML = html;
      });
      tidy();
      inputs().forEach((row) => say(row, answer.said[row.dataset.ruleInput] || {}));
      // What can be chosen now may be something else than what was asked about.
      if (Object.keys(answer.parts).length) askLater();
      const next = document.getElementById(answer.focus || focused);
      if (next && next !== document.activeElement) next.focus({ preventScroll: true });
    }

    function say(row, news) {
      const said = row.querySelector(".wechat-said");
      const counter = row.querySelector(".wechat-counter");
      if (counter && row.dataset.limit && news.count !== undefined) {
        counter.hidden = false;
        counter.textContent = news.count + " / " + row.dataset.limit;
        counter.classList.toggle("wechat-counter--over", news.count > Number(row.dataset.limit));
      }
      if (!said || !touched.has(row.dataset.ruleInput)) return;
      said.textContent = news.error || news.warning || "";
      said.classList.toggle("wechat-said--error", Boolean(news.error));
      row.querySelectorAll("input:not([type=hidden]), select, textarea").forEach(function (input) {
        if (news.error) input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
      });
    }

    // Buttons that only fetch the page again are for browsers without scripts.
    function tidy() {
      form.querySelectorAll("[data-rule-without-script]").forEach((part) => part.remove());
    }

    // -- what somebody does -----------------------------------------------------------------

    function changed(event) {
      const row = event.target.closest("[data-rule-input]");
      if (row) touched.add(row.dataset.ruleInput);
      askLater();
    }

    form.addEventListener("input", changed);
    form.addEventListener("change", changed);
    form.addEventListener("focusin", function (event) {
      if (event.target.matches("[data-rule-text]")) text = event.target;
    });
    form.addEventListener("click", function (event) {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.matches("[data-rule-step]")) {
        event.preventDefault();
        ask(button);
      } else if (button.matches("[data-rule-insert]")) {
        insert(button.dataset.ruleInsert);
      }
    });

    function insert(placeholder) {
      const input = text && text.isConnected ? text : form.querySelector("[data-rule-text]");
      if (!input) return;
      input.setRangeText(placeholder, input.selectionStart, input.selectionEnd, "end");
      input.focus();
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }

    tidy();
    if (form.hasAttribute("data-checked")) {
      inputs().forEach((row) => touched.add(row.dataset.ruleInput));
    }
    ask(); // the browser may have brought back what was filled in before
  }

  document.querySelectorAll("[data-wechat-rule]").forEach(start);
})();
