// After too many wrong passwords: a link by mail lets the owner try again at once.

import { post } from "../api.js";
import { el, fill, link } from "../dom.js";
import { field, form } from "../forms.js";
import { go } from "../app.js";
import { whereMailsAre } from "../mails.js";

export function unlock({ token }) {
  return token ? byLink(token) : askForLink();
}

function byLink(token) {
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Try again at once"), el("p", { class: "muted" }, "The wrong passwords are forgotten, and you sign in with the right one.")),
    el("div", { class: "card stack" }, form({
      fields: [], action: "Forget wrong passwords", wide: true,
      submit: async () => {
        await post("/api/auth/unlock", { token });
        await go("/sign-in", { notice: "You may try again now." });
      },
    })),
    el("p", { class: "muted after row" }, "Does the link not work?", link("#/unlock", "Ask for a new one", { onclick: withoutToken })),
  );
}

// The address bar is the same, so the browser would not go there.
function withoutToken(event) {
  event.preventDefault();
  go("/unlock", { token: null });
}

function askForLink() {
  const card = el("div", { class: "card stack" }, form({
    fields: [field("email", { label: "E-mail address", type: "email", autocomplete: "email", "data-focus": true, required: true })],
    action: "Send me a link", wide: true,
    submit: async ({ email }) => {
      await post("/api/auth/unlock/request", { email });
      // The same words for every address: who has an account here is nobody's business.
      const heading = el("h2", { tabindex: "-1" }, "Look at your mail");
      fill(card, heading, el("p", {}, "If there is an account for ", el("strong", {}, email), ", a link is on its way by which you may try again at once. It is good for half an hour."), whereMailsAre());
      heading.focus();
    },
  }));
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Too many wrong passwords?"), el("p", { class: "muted" }, "Who guesses has to wait. If it was you, or somebody who is after your account, a link by mail lets you try again at once.")),
    card,
    el("p", { class: "muted after row" }, "Forgot your password?", link("#/forgot-password", "Set a new one")),
  );
}
