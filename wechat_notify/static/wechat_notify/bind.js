// bind_qr.html: asks every two seconds what became of the code, shows it, and goes on.

"use strict";

const EVERY = 2000;
const TIME_TO_SEE = 1000;

const code = document.querySelector("[data-wechat-bind-status]");

// A session that has ended, or a code that this session does not know, is as good as expired.
async function ask() {
  const answer = await fetch(code.dataset.wechatBindStatus, {
    credentials: "same-origin",
    headers: { Accept: "application/json" },
    redirect: "manual",
  });
  if (answer.ok) {
    return answer.json();
  }
  return answer.status >= 500 ? { state: "waiting" } : { state: "expired" };
}

async function watch() {
  let news = { state: "waiting" };
  // Nobody looks at a hidden page; it asks at once when it is looked at again.
  if (!document.hidden) {
    try {
      news = await ask();
    } catch {
      // No connection just now.
    }
  }
  if (news.state === "waiting" || news.state === "taken") {
    timer = setTimeout(watch, EVERY);
    return;
  }
  timer = null;
  code.dataset.state = news.state;
  if (news.state === "bound") {
    setTimeout(() => location.assign(news.location), TIME_TO_SEE);
  }
}

let timer = setTimeout(watch, EVERY);

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && timer !== null) {
    clearTimeout(timer);
    watch();
  }
});
