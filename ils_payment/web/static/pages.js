// Comfort only: every page works without this file.
"use strict";

const language = document.documentElement.lang;
const announce = (text) => { document.getElementById("announce").textContent = text; };

// The total follows the ticks.
const total = document.getElementById("total");
if (total) {
  const boxes = [...document.querySelectorAll("input[name=fee], input[name=until]")];
  const digits = Number(total.dataset.digits);
  const money = new Intl.NumberFormat(language === "en" ? "en-GB" : language, { style: "currency", currency: total.dataset.currency });
  const name = document.getElementById("total-name");
  name.textContent = name.dataset.chosen;
  const add = () => {
    const cents = boxes.reduce((sum, box) => sum + (box.checked ? Number(box.dataset.cents) : 0), 0);
    total.textContent = money.format(cents / 10 ** digits);
  };
  boxes.forEach((box) => box.addEventListener("change", add));
  // A browser that comes back with "back" restores ticks after this file has run.
  addEventListener("pageshow", add);
}

// The status page follows its payment, ever less often while nothing happens.
let pause = 1000;
const again = () => {
  const shown = document.getElementById("status");
  if (shown && shown.dataset.follow) setTimeout(follow, pause);
};
const follow = async () => {
  const shown = document.getElementById("status");
  pause = Math.min(pause * 1.2, 30000);
  try {
    const answer = await fetch(shown.dataset.follow, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("status");
    // Signed out meanwhile: there is nothing to follow any more.
    if (!fresh && answer.status < 500) return;
    if (fresh && fresh.dataset.state !== shown.dataset.state) {
      shown.replaceWith(document.importNode(fresh, true));
      document.title = page.title;
      announce(fresh.querySelector("h1").textContent);
      pause = 2000;
    }
  } catch {
    // No network for a moment: the next look may succeed.
  }
  again();
};
again();

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// Before a session ends, its reader is asked. Another tab may have prolonged it: the server knows.
const idle = document.getElementById("idle");
if (idle) {
  const warnBefore = Number(idle.dataset.warnBefore);
  const seconds = document.getElementById("idle-seconds");
  let end = Date.now() + idle.dataset.endsIn * 1000;
  let asked = 0;
  const ask = async (address) => {
    try {
      const answer = await fetch(address, { headers: { accept: "application/json" } });
      end = Date.now() + (await answer.json()).ends_in * 1000;
    } catch {
      // No network for a moment: the clock here goes on.
    }
    if (end - Date.now() > warnBefore * 1000) idle.close();
  };
  // After its longest life a session ends in any case; its reader is told so once and can finish.
  const text = document.getElementById("idle-text");
  let told = false;
  document.getElementById("idle-stay").addEventListener("click", async () => {
    await ask(idle.dataset.stay);
    if (!idle.open) return;
    if (text.textContent === idle.dataset.last) {
      told = true;
      idle.close();
    }
    text.textContent = idle.dataset.last;
  });
  const clock = setInterval(() => {
    const left = Math.ceil((end - Date.now()) / 1000);
    seconds.textContent = String(Math.max(left, 0));
    if (left <= warnBefore + 3 && Date.now() - asked > 5000) {
      asked = Date.now();
      ask(`${idle.dataset.stay}?follow=1`);
    }
    if (left > warnBefore) return;
    if (left <= 0) {
      clearInterval(clock);
      location.replace(idle.dataset.ended);
    } else if (!idle.open && !told) {
      idle.showModal();
    }
  }, 1000);
}
