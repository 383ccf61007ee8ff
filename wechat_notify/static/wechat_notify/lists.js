/* On a phone lists.css shows each row of a list as a block: there each value needs the name of its
   column beside it. */

"use strict";

(function () {
  function nameCells() {
    const table = document.querySelector(".results > #result_list");
    if (!table) return;
    const headings = table.querySelectorAll("thead th");
    const names = Array.from(headings, function (heading) {
      const text = heading.querySelector(".text");
      return text ? text.textContent.trim() : "";
    });
    table.querySelectorAll("tbody tr").forEach(function (row) {
      Array.from(row.cells).forEach(function (cell, number) {
        if (cell.tagName === "TD" && names[number]) cell.dataset.wechatLabel = names[number];
      });
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", nameCells);
  else nameCells();
})();
