/* Composing: the card and the rules' own words while somebody types, counters, pickers, people
   found by name, and a filter over the templates. Everything here is a convenience; the page works
   without it. What is right and what is wrong is the server's to say. */

"use strict";

(function () {
  const PAUSE = 300; // milliseconds without a key before the server is asked

  function later(action) {
    let timer = 0;
    return function () {
      window.clearTimeout(timer);
      timer = window.setTimeout(action, PAUSE);
    };
  }

  // -- choosing a template ------------------------------------------------------------------

  function filterTiles(input) {
    const tiles = Array.from(document.querySelectorAll("#" + input.dataset.wechatFilter + " > li"));
    const none = document.getElementById(input.dataset.wechatFilter + "-none");
    if (!tiles.length) return;
    function filter() {
      const term = input.value.trim().toLowerCase();
      let shown = 0;
      tiles.forEach(function (tile) {
        tile.hidden = !tile.dataset.text.includes(term);
        shown += tile.hidden ? 0 : 1;
      });
      none.hidden = shown > 0;
    }
    input.addEventListener("input", filter);
    filter(); // somebody may have typed before this script was there
  }

  // -- the form -----------------------------------------------------------------------------

  function compose(form) {
    const card = form.querySelector("[data-wechat-card]");
    const person = form.querySelector("[data-wechat-person]");
    const title = form.elements.title;
    const values = Array.from(form.querySelectorAll("[data-wechat-value]"), valueRow);
    let asked = null;
    let focused = values.length ? values[0].input : null;

    async function ask() {
      if (asked) asked.abort();
      asked = new AbortController();
      const filled = new FormData(form);
      filled.delete("table_file"); // read once, on the way to the next page
      try {
        const response = await fetch(form.dataset.preview, {
          method: "POST",
          body: filled,
          credentials: "same-origin",
          headers: { Accept: "application/json" },
          redirect: "error",
          signal: asked.signal,
        });
        if (!response.ok) throw new Error(String(response.status));
        show(await response.json());
      } catch (error) {
        // No connection, or an ended session: the next page says so. A newer question is no error.
        if (error.name !== "AbortError") card.classList.add("wechat-stale");
      }
    }

    function show(answer) {
      card.innerHTML = answer.card; // made by the app's own template, every value escaped
      card.classList.remove("wechat-stale");
      person.textContent = answer.person;
      title.placeholder = answer.title;
      values.forEach((value) => value.say(answer.fields[value.name]));
    }

    const askLater = later(ask);
    form.addEventListener("input", askLater);
    form.addEventListener("change", askLater);
    // The value that was worked on last, by its own input or by the picker beside it.
    form.addEventListener("focusin", function (event) {
      const value = values.find((value) => value.row.contains(event.target));
      if (value) focused = value.input;
    });
    const fallback = form.querySelector("[data-wechat-fallback]");
    form.querySelectorAll("[data-wechat-insert]").forEach(function (button) {
      button.addEventListener("click", function () {
        const placeholder = button.parentElement.querySelector("code").textContent;
        insert(focused, withFallback(placeholder, fallback.value));
      });
    });
    form.querySelectorAll("[data-wechat-enter]").forEach(enter);
    when(form);
    people(form, askLater);
    values.forEach((value) => value.count());
    // Typed before this script was there, or brought back by the browser.
    if (values.some((value) => value.input.value !== value.input.defaultValue)) ask();
    form.querySelectorAll("[data-wechat-without-script]").forEach((part) => part.remove());
  }

  // Enter in an input that has a button of its own presses that one, not the form's first.
  function enter(input) {
    input.addEventListener("keydown", function (event) {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      input.parentElement.querySelector("button").click();
    });
  }

  function insert(input, text) {
    if (!input) return;
    input.setRangeText(text, input.selectionStart, input.selectionEnd, "end");
    input.focus();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  // {{ user.first_name }} with what stands in its place for a person who has none.
  function withFallback(placeholder, text) {
    const plain = text.replace(/["\\{}%]/g, "").trim(); // would end the placeholder
    return plain ? placeholder.replace(/ }}$/, '|default:"' + plain + '" }}') : placeholder;
  }

  function valueRow(row) {
    const input = row.querySelector("input:not([tabindex])");
    const counter = row.querySelector(".wechat-counter");
    const said = row.querySelector(".wechat-said");
    const limit = Number(row.dataset.limit || 0);
    let touched = input.value !== "" || said.textContent.trim() !== "";

    function showCount(number) {
      if (!limit) return;
      counter.hidden = false;
      counter.textContent = number + " / " + limit;
      counter.classList.toggle("wechat-counter--over", number > limit);
    }

    function count() {
      // JavaScript's length is what the limits count. A placeholder's is known to the server only.
      if (!input.value.includes("{{")) showCount(input.value.length);
    }

    input.addEventListener("input", function () {
      touched = true;
      count();
    });
    pick(row, input);

    function say(news) {
      if (!news) return;
      if (input.value.includes("{{")) showCount(news.count);
      if (!touched) return;
      said.textContent = news.error || (input.value ? news.warning : "");
      said.classList.toggle("wechat-said--error", Boolean(news.error));
      if (news.error) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }

    return { name: row.dataset.wechatValue, row: row, input: input, say: say, count: count };
  }

  // -- dates --------------------------------------------------------------------------------

  function pick(row, input) {
    const picker = row.querySelector(".wechat-picker");
    if (!picker) return;
    const native = picker.querySelector("input");
    picker.hidden = false;
    picker.querySelector("button").addEventListener("click", function () {
      try {
        native.showPicker();
      } catch (error) {
        native.focus(); // a browser without a picker that can be called up
      }
    });
    native.addEventListener("change", function (event) {
      event.stopPropagation();
      if (!native.value) return;
      // The end of a range follows its "~"; anything else is replaced.
      const begun = input.value.trimEnd().endsWith("~") ? input.value.trimEnd() : "";
      input.value = begun + chinese(native.value);
      input.dispatchEvent(new Event("input", { bubbles: true }));
    });
  }

  function chinese(moment) {
    const [day, time] = moment.split("T");
    const [year, month, date] = day.split("-").map(Number);
    return year + "年" + month + "月" + date + "日" + (time ? " " + time.slice(0, 5) : "");
  }

  function when(form) {
    const later = form.querySelector("[data-wechat-later]");
    const radios = Array.from(form.querySelectorAll("[data-wechat-when] input[type=radio]"));
    function follow() {
      later.hidden = !radios.some((radio) => radio.checked && radio.value === "later");
    }
    radios.forEach((radio) => radio.addEventListener("change", follow));
    follow();
  }

  // -- people: a combobox after the ARIA authoring practices ----------------------------------

  function people(form, changed) {
    const input = form.querySelector("[data-wechat-users]");
    const list = document.getElementById("wechat-found");
    const chosen = document.getElementById("wechat-chosen");
    const pattern = document.getElementById("wechat-person");
    const status = form.querySelector(".wechat-people .wechat-status");
    let found = [];
    let active = -1;
    let question = 0;

    Object.entries({
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": list.id,
    }).forEach(([name, value]) => input.setAttribute(name, value));

    async function search() {
      const term = input.value.trim();
      const number = (question += 1);
      if (!term) {
        close();
        return;
      }
      const query = new URLSearchParams({ q: term, template: form.elements.template.value });
      try {
        const response = await fetch(form.dataset.users + "?" + query, {
          credentials: "same-origin",
          headers: { Accept: "application/json" },
          redirect: "error",
        });
        if (!response.ok) throw new Error(String(response.status));
        const answer = await response.json();
        if (number === question) open(answer.results);
      } catch (error) {
        if (number === question) close(); // no connection for a moment: the next key asks again
      }
    }

    function open(results) {
      found = results;
      active = -1;
      list.replaceChildren(...results.map(option));
      list.hidden = !results.length;
      status.textContent = results.length ? "" : form.dataset.nobody;
      input.setAttribute("aria-expanded", String(results.length > 0));
      input.removeAttribute("aria-activedescendant");
    }

    // Somebody was chosen, or looks elsewhere: an answer that is still to come opens nothing.
    function close() {
      question += 1;
      open([]);
      status.textContent = "";
    }

    function option(person, index) {
      const item = document.createElement("li");
      item.id = "wechat-found-" + index;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", "false");
      const note = document.createElement("small");
      note.textContent = person.note;
      item.append(person.name + " ", note);
      // mousedown, and not click: the list closes as soon as the input loses the focus.
      item.addEventListener("mousedown", function (event) {
        event.preventDefault();
        choose(person);
      });
      return item;
    }

    function move(step) {
      if (!found.length) return;
      active = (active + step + found.length) % found.length;
      Array.from(list.children).forEach(function (item, index) {
        item.setAttribute("aria-selected", String(index === active));
      });
      input.setAttribute("aria-activedescendant", list.children[active].id);
      list.children[active].scrollIntoView({ block: "nearest" });
    }

    function choose(person) {
      const known = Array.from(chosen.querySelectorAll("input")).find(
        (box) => box.value === person.id
      );
      if (known) known.checked = true;
      else chosen.append(chip(person));
      input.value = "";
      close();
      input.focus();
      changed();
    }

    function chip(person) {
      const item = pattern.content.firstElementChild.cloneNode(true);
      item.querySelector("input").value = person.id;
      item.querySelector("span").textContent = person.name;
      item.querySelector("small").textContent = person.note;
      return item;
    }

    const searchLater = later(search);
    input.addEventListener("input", function (event) {
      event.stopPropagation();
      searchLater();
    });
    input.addEventListener("blur", close);
    input.addEventListener("keydown", function (event) {
      if (event.isComposing) return; // Enter ends a word of a Chinese input method
      if (event.key === "ArrowDown") move(1);
      else if (event.key === "ArrowUp") move(-1);
      else if (event.key === "Escape" && found.length) close();
      else if (event.key === "Enter") {
        if (found.length) choose(found[Math.max(active, 0)]);
      } else return;
      event.preventDefault();
    });
    // A person who is taken off again leaves the page.
    chosen.addEventListener("change", function (event) {
      if (!event.target.checked) event.target.closest("li").remove();
      input.focus();
    });
  }

  // -- sending ------------------------------------------------------------------------------

  function once(form) {
    // The server sends once in any case; this only shows that the button was heard.
    form.addEventListener("submit", function (event) {
      if (form.dataset.heard) event.preventDefault();
      form.dataset.heard = "yes";
      form.querySelectorAll("button").forEach((button) => button.setAttribute("aria-disabled", "true"));
    });
    // A page that comes back from the browser's memory is not on its way any more.
    window.addEventListener("pageshow", function () {
      delete form.dataset.heard;
      form.querySelectorAll("button").forEach((button) => button.removeAttribute("aria-disabled"));
    });
  }

  document.querySelectorAll("[data-wechat-filter]").forEach(filterTiles);
  document.querySelectorAll("[data-wechat-compose]").forEach(compose);
  document.querySelectorAll("[data-wechat-once]").forEach(once);
})();
