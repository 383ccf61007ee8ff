/* Keeps the page up to date: asks once a second whether anything has changed. */
"use strict";

const place = document.querySelector("[data-poll]");
const chat = document.querySelector("[data-chat]");
const EVERY = 1000;
const NEAR = 120;

function toTheEnd() {
  if (chat) {
    chat.scrollTop = chat.scrollHeight;
  }
}

function put(html) {
  const atTheEnd = !chat || chat.scrollHeight - chat.scrollTop - chat.clientHeight < NEAR;
  const known = place.querySelectorAll(".bubble").length;
  place.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
  const bubbles = [...place.querySelectorAll(".bubble")];
  bubbles.slice(known).forEach((bubble) => bubble.classList.add("bubble--new"));
  if (atTheEnd) {
    toTheEnd();
  }
}

async function update() {
  const { poll, version } = place.dataset;
  const answer = await fetch(`${poll}?version=${encodeURIComponent(version)}`);
  if (answer.status === 200) {
    put(await answer.text());
    place.dataset.version = answer.headers.get("X-Version");
  }
}

async function keepUpToDate() {
  try {
    await update();
    document.body.classList.remove("offline");
  } catch {
    document.body.classList.add("offline");
  }
  setTimeout(keepUpToDate, EVERY);
}

if (place) {
  toTheEnd();
  setTimeout(keepUpToDate, EVERY);
}
