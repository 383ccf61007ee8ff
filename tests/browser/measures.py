"""Where a page's parts are, measured in the browser: what is cut off, off screen or squeezed."""

from typing import Any

# One character a line is what a column without room for two looks like.
FEWEST_EMS = 2.5

MISFITS = """(fewestEms) => {
  const parts = "td, th, thead .text > *, dt, dd, label, .wechat-badge, .button, .wechat-openid";
  const found = [];

  function clippedAt(part) {
    let edge = window.innerWidth;
    for (let box = part.parentElement; box; box = box.parentElement) {
      if (getComputedStyle(box).overflowX === "visible") continue;
      const { right, width } = box.getBoundingClientRect();
      if (width <= 1) return null; // for screen readers only
      edge = Math.min(edge, right);
    }
    return edge;
  }

  function lines(part) {
    const range = document.createRange();
    range.selectNodeContents(part);
    return new Set(Array.from(range.getClientRects(), (line) => Math.round(line.top))).size;
  }

  for (const part of document.querySelectorAll("#content :is(" + parts + ")")) {
    const text = part.innerText.trim().replace(/\\s+/g, " ");
    const box = part.getBoundingClientRect();
    if (!text || !part.checkVisibility() || box.width <= 1 || box.height <= 1) continue;
    const name = part.tagName.toLowerCase() + "." + part.className + " “" + text.slice(0, 40) + "”";
    const edge = clippedAt(part);
    if (edge === null) continue;
    const em = parseFloat(getComputedStyle(part).fontSize);
    if (box.right > edge + 1) found.push("cut off: " + name);
    if (box.left < -1) found.push("off the screen: " + name);
    if (text.length > 2 && box.width < fewestEms * em && box.height > 3.5 * em) {
      found.push("squeezed: " + name);
    }
    // One word, or what is read as one, stands on one line.
    const isWord = part.matches(".wechat-openid") || !text.includes(" ");
    const isShort = part.matches(".wechat-openid, .wechat-badge, thead .text > *");
    if (isShort && isWord && lines(part) > 1) found.push("over lines: " + name);
  }
  if (document.documentElement.scrollWidth > window.innerWidth) found.push("the page is too wide");
  return found;
}"""


def misfits(page: Any) -> list[str]:
    """What nobody could read at the window's present size: each part, and what is wrong with it."""
    found: list[str] = page.evaluate(MISFITS, FEWEST_EMS)
    return found
