/* Going back to a page that was the answer to a POST: the browser would have to post again, and
   shows an error in its place, for the admin's pages are kept in no cache. So each such page gets an
   address that can be opened. What was filled in (data-wechat-kept: the address of a form) is kept
   in the browser's history beside that address, and the form is asked for with it again. */

"use strict";

(function () {
  const NOT_KEPT = ["csrfmiddlewaretoken", "nonce"];
  const form = document.querySelector("[data-wechat-kept]");

  // What was typed or ticked. A file is none of it: an input cannot be given one.
  function filledIn() {
    return Array.from(new FormData(form)).filter(
      (pair) => typeof pair[1] === "string" && !NOT_KEPT.includes(pair[0])
    );
  }

  function keep() {
    window.history.replaceState({ wechatKept: filledIn() }, "", form.dataset.wechatKept);
  }

  function restore(pairs) {
    const token = form.querySelector("[name=csrfmiddlewaretoken]");
    const again = document.createElement("form");
    again.method = "post";
    again.action = form.action;
    [...pairs, ["_edit", "1"], [token.name, token.value]].forEach(function (pair) {
      const input = document.createElement("input");
      input.type = "hidden";
      [input.name, input.value] = pair;
      again.append(input);
    });
    document.body.append(again);
    // While the page is still loading, so that what comes takes its place in the history.
    again.submit();
  }

  if (!form) {
    window.history.replaceState(window.history.state, "", window.location.href);
    return;
  }
  const kept = window.history.state && window.history.state.wechatKept;
  if (kept && !("wechatPosted" in form.dataset)) restore(kept);
  else if ("wechatPosted" in form.dataset) keep();
  form.addEventListener("submit", keep);
})();
