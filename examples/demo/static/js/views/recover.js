// A forgotten password: asking for a mail, and setting a new one by its link.

import { post, signOut } from "../api.js";
import { el, fill, link } from "../dom.js";
import { field, form, PASSWORD_HINT } from "../forms.js";
import { go } from "../app.js";
import { noToken, whereMailsAre } from "../mails.js";
import { session } from "../session.js";

export function forgotPassword({ email = session.user?.email ?? "" }) {
  const card = el("div", { class: "card stack" }, form({
    fields: [field("email", { label: "E-mail address", type: "email", autocomplete: "email", value: email, "data-focus": true, required: true })],
    action: "Send me a link", wide: true,
    submit: async (given) => {
      await post("/api/auth/password/forgot", { email: given.email });
      // The same words for every address: who has an account here is nobody's business.
      const heading = el("h2", { tabindex: "-1" }, "Look at your mail");
      fill(card, heading, el("p", {}, "If there is an account for ", el("strong", {}, given.email), ", a link to set a new password is on its way. It is good for half an hour."), whereMailsAre());
      heading.focus();
    },
  }));
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Forgot your password?"), el("p", { class: "muted" }, "We send a link to your address, and you set a new one.")),
    card,
    el("p", { class: "muted after row" }, "Remember it after all?", session.user ? link("#/account", "Back to your account") : link("#/sign-in", "Sign in")),
  );
}

export function resetPassword({ token }) {
  if (!token) return noToken("Set a new password", link("#/forgot-password", "Ask for a new link"));
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Set a new password"), el("p", { class: "muted" }, "You are then signed out everywhere, and sign in with the new one.")),
    el("div", { class: "card" }, form({
      fields: [field("new_password", { label: "New password", type: "password", autocomplete: "new-password", "data-focus": true, required: true, hint: PASSWORD_HINT })],
      action: "Set password", wide: true,
      submit: async ({ new_password }) => {
        await post("/api/auth/password/reset", { token, new_password });
        if (session.user) await signOut();
        await go("/sign-in", { notice: "Your new password is set. Please sign in with it." });
      },
    })),
    el("p", { class: "muted after row" }, "Does the link not work?", link("#/forgot-password", "Ask for a new one")),
  );
}
