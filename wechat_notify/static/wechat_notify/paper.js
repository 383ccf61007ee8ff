// The button "Print". Without JavaScript it is hidden: every browser prints by itself.

"use strict";

for (const button of document.querySelectorAll("[data-wechat-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
