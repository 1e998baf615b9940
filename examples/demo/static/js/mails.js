// What every page says that has to do with a mail.

import { post } from "./api.js";
import { el, link, say } from "./dom.js";
import { doer, field } from "./forms.js";

export function codeField(attributes = {}) {
  return field("code", { label: "Code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: 16, required: true, ...attributes });
}

// In development mails do not leave: the page says where they are.
export function whereMailsAre() {
  return document.getElementById("outbox") && el("p", { class: "muted small" }, "Mails of this demo do not leave your machine: they are in ", link("/outbox", "its outbox", { target: "_blank" }), ".");
}

// Sends the confirmation of an address again; `email` is a function, since it may still be typed.
export function resendButton(email, options) {
  return doer("Send a new code", async () => {
    await post("/api/auth/email/verify/resend", { email: email() });
    say("A new code is on its way. Older ones are void.");
  }, options);
}

// Where a link from a mail has been opened without its token: by a reload, or typed by hand.
export function noToken(title, ...more) {
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, title)),
    el("div", { class: "card stack" }, el("p", {}, "Please open the link in your mail once more."), more),
  );
}
