/* A page that refuses what was filled in comes back with the focus on the first input that is
   wrong, and with whatever hides it unfolded. */

"use strict";

(function () {
  const PLACES = ".wechat-value, .wechat-groups, .wechat-people, .form-row, [data-wechat-when]";
  const INPUTS = "input:not([type=hidden], [type=submit]), textarea, select";

  function unfold(element) {
    for (let part = element.closest("details"); part; part = part.parentElement.closest("details")) {
      part.open = true;
    }
  }

  function focus() {
    const list = document.querySelector("ul.errorlist");
    if (!list) return;
    const place = list.closest(PLACES);
    const input = place && (place.querySelector("[aria-invalid=true]") || place.querySelector(INPUTS));
    unfold(list);
    if (!input) list.tabIndex = -1;
    (input || list).focus();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", focus);
  else focus();
})();
