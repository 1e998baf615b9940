// Signing in and registering.

import { post } from "../api.js";
import { el, link, say, nameOf } from "../dom.js";
import { field, form } from "../forms.js";
import { go } from "../app.js";
import { session } from "../session.js";

export function signIn({ query, notice }) {
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Sign in")),
    el(
      "div", { class: "card stack" },
      el("p", { class: "notice calm", role: "status" }, notice ?? ""),
      form({
        fields: [
          field("login", { label: "E-mail address or username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", "data-focus": true, required: true }),
          field("password", { label: "Password", type: "password", autocomplete: "current-password", required: true }),
        ],
        action: "Sign in", wide: true,
        submit: async ({ login, password }) => {
          const name = login.includes("@") ? { email: login } : { username: login };
          const answer = await post("/api/auth/login", { ...name, password });
          session.set(answer.user);
          await go(safe(query.get("next")));
          say(`Welcome back, ${nameOf(answer.user)}.`);
        },
      }),
    ),
    el("p", { class: "muted after row" }, "New here?", link("#/register", "Register")),
  );
}

export function register() {
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Register"), el("p", { class: "muted" }, "Then write whatever is worth keeping.")),
    el(
      "div", { class: "card" },
      form({
        fields: [
          field("email", { label: "E-mail address", type: "email", autocomplete: "email", "data-focus": true, required: true }),
          field("username", { label: "Username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true, hint: "Letters and digits, with . - _ between them." }),
          field("display_name", { label: "Name", optional: true, autocomplete: "name", maxlength: 80, hint: "Stands above what you write." }),
          field("password", { label: "Password", type: "password", autocomplete: "new-password", required: true, hint: "At least 8 characters; a few unrelated words are best." }),
        ],
        action: "Register", wide: true,
        submit: async (given) => {
          const answer = await post("/api/auth/register", given);
          session.set(answer.user);
          await go("/");
          say(`Welcome, ${nameOf(answer.user)}.`);
        },
      }),
    ),
    el("p", { class: "muted after row" }, "Been here before?", link("#/sign-in", "Sign in")),
  );
}

// Only ever a place of this page.
function safe(next) {
  return next?.startsWith("/") ? next : "/";
}
