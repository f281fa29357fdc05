// Comfort only: every page works without this file.
"use strict";

const language = document.documentElement.lang;
const announce = (text) => { document.getElementById("announce").textContent = text; };

// The total follows the ticks.
const total = document.getElementById("total");
if (total) {
  const boxes = [...document.querySelectorAll("input[name=fee]")];
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

// The status page follows its payment.
const follow = async () => {
  const shown = document.getElementById("status");
  if (!shown || !shown.dataset.follow) return;
  try {
    const answer = await fetch(shown.dataset.follow, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("status");
    if (fresh && fresh.dataset.state !== shown.dataset.state) {
      shown.replaceWith(document.importNode(fresh, true));
      document.title = page.title;
      announce(fresh.querySelector("h1").textContent);
    } else if (!fresh && !answer.ok && answer.status < 500) {
      return;
    }
  } catch {
    // No network for a moment: the next look may succeed.
  }
  again();
};
const again = () => {
  const shown = document.getElementById("status");
  if (shown && shown.dataset.follow) setTimeout(follow, shown.dataset.every * 1000);
};
again();

// Before a session ends, its reader is asked.
const idle = document.getElementById("idle");
if (idle) {
  const warnBefore = Number(idle.dataset.warnBefore);
  const seconds = document.getElementById("idle-seconds");
  let end = Date.now() + idle.dataset.endsIn * 1000;
  document.getElementById("idle-stay").addEventListener("click", async () => {
    const answer = await fetch(idle.dataset.stay, { headers: { accept: "application/json" } });
    if (!answer.ok) {
      location.replace(idle.dataset.ended);
      return;
    }
    end = Date.now() + (await answer.json()).ends_in * 1000;
    idle.close();
  });
  setInterval(() => {
    const left = Math.ceil((end - Date.now()) / 1000);
    if (left <= 0) {
      location.replace(idle.dataset.ended);
    } else if (left <= warnBefore) {
      seconds.textContent = String(left);
      if (!idle.open) idle.showModal();
    }
  }, 1000);
}
