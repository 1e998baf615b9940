// Signing in without a password: by a link or a code from a mail, in the browser that asked for it.

import { post } from "../api.js";
import { el, fill, link } from "../dom.js";
import { field, form } from "../forms.js";
import { go } from "../app.js";
import { codeField, whereMailsAre } from "../mails.js";
import { enter } from "./sign_in.js";

const PATH = "/api/auth/magic-link";

export function signInByMail({ query, email = "" }) {
  const next = query.get("next");
  const card = el("div", { class: "card stack" }, form({
    fields: [field("email", { label: "E-mail address", type: "email", autocomplete: "email", value: email, "data-focus": true, required: true })],
    action: "Send me a mail", wide: true,
    submit: async (given) => {
      const { expires_in: seconds } = await post(PATH, { email: given.email });
      const code = codeField();
      // The same words for every address: who has an account here is nobody's business.
      fill(
        card,
        el("h2", {}, "Look at your mail"),
        el("p", {}, "If there is an account for ", el("strong", {}, given.email), `, a link and a code are on their way. They are good for ${seconds / 60} minutes, and in this browser only.`),
        form({
          fields: [code], action: "Sign in", wide: true,
          submit: (typed) => enter(() => post(`${PATH}/login`, { email: given.email, code: typed.code }), { next }),
        }),
        whereMailsAre(),
      );
      code.querySelector("input").focus();
    },
  }));
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Sign in by mail"), el("p", { class: "muted" }, "No password needed: whoever reads your mail is you.")),
    card,
    el("p", { class: "muted after row" }, "Rather with your password?", link("#/sign-in", "Sign in")),
  );
}

// Where the link of that mail leads.
export function signInByLink(token) {
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Sign in"), el("p", { class: "muted" }, "By the link from your mail. It works once, in the browser in which you asked for it.")),
    el("div", { class: "card stack" }, form({
      fields: [], action: "Sign in", wide: true,
      submit: () => enter(() => post(`${PATH}/login`, { token })),
    })),
    el("p", { class: "muted after row" }, "Does the link not work?", link("#/sign-in-by-mail", "Ask for a new one")),
  );
}
