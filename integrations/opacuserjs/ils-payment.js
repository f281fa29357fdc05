// For Koha's system preference OPACUserJS, where no plugin may be installed: a button in "Your charges" that leads
// to the sign-in with card number and PIN of ils-payment. A script in a browser can keep no secret, so it cannot
// hand the patron over; the address that it leads to says nothing about anybody.
//
// What it looks for on the page (the body's id "opac-account", the element "useraccount") was read in the
// templates of Koha 23.05 and later. No running Koha was at hand.
(function () {
  "use strict";

  // The address of your library at ils-payment: write yours here, with the slash at its end.
  const address = "https://pay.library.example/main/";

  const words = {
    de: { button: "Gebühren online bezahlen", hint: "Sie melden sich dort noch einmal mit Ausweisnummer und Passwort an." },
    en: { button: "Pay charges online", hint: "You sign in there once more with your card number and password." },
  };

  function show() {
    const account = document.getElementById("useraccount");
    if (document.body.id !== "opac-account" || !account || document.getElementById("ils-payment")) return;
    const language = document.documentElement.lang.toLowerCase().startsWith("de") ? "de" : "en";
    const link = document.createElement("a");
    link.className = "btn btn-primary";
    link.href = `${address}?lang=${language}`;
    link.textContent = words[language].button;
    link.setAttribute("aria-describedby", "ils-payment-hint");
    const hint = document.createElement("span");
    hint.id = "ils-payment-hint";
    hint.textContent = ` ${words[language].hint}`;
    const line = document.createElement("p");
    line.id = "ils-payment";
    line.append(link, hint);
    const heading = account.querySelector("h1, h2");
    if (heading) heading.after(line);
    else account.prepend(line);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", show);
  else show();
})();
