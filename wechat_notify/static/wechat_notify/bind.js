// bind_qr.html: asks every two seconds what became of the code, shows it, and goes on.

"use strict";

const EVERY = 2000;
const TIME_TO_SEE = 1000;

const code = document.querySelector("[data-wechat-bind-status]");

async function ask() {
  const options = { headers: { Accept: "application/json" }, redirect: "manual" };
  const answer = await fetch(code.dataset.wechatBindStatus, options).catch(() => null);
  if (answer?.ok) {
    return answer.json();
  }
  // No connection, or a server that is down, may pass. A session that has ended will not.
  const mayPass = answer === null || answer.status >= 500;
  return { state: mayPass ? "waiting" : "expired" };
}

function show(news) {
  code.dataset.state = news.state;
  if (news.state === "bound") {
    setTimeout(() => location.assign(news.location), TIME_TO_SEE);
  }
}

async function look() {
  // Nobody looks at a hidden page. It asks again within two seconds of being looked at.
  const news = document.hidden ? { state: "waiting" } : await ask();
  if (news.state === "waiting" || news.state === "taken") {
    setTimeout(look, EVERY);
  } else {
    show(news);
  }
}

setTimeout(look, EVERY);
