// Signing in and registering.

import { get, post } from "../api.js";
import { ask, cancelButton } from "../dialogs.js";
import { el, link, nameOf, say } from "../dom.js";
import { field, form, PASSWORD_HINT } from "../forms.js";
import { go } from "../app.js";
import { session } from "../session.js";
import { signInByLink } from "./sign_in_by_mail.js";

export function signIn({ query, notice, token }) {
  if (token) return signInByLink(token);
  const heldBack = el("p", { hidden: true }, "Was it you? ", link("#/unlock", "Have a link mailed"), " to try again at once.");
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
          try {
            await enter(() => post("/api/auth/login", { ...named(login), password }), { email: named(login).email, next: query.get("next") });
          } catch (problem) {
            heldBack.hidden = problem.status !== 429;
            throw problem;
          }
        },
      }),
      heldBack,
      el("p", { class: "row spread" }, link("#/forgot-password", "Forgot your password?"), link(`#/sign-in-by-mail?${query}`, "Sign in by mail")),
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
          newcomer(),
        ],
        action: "Register", wide: true,
        submit: async (given) => {
          const answer = await post("/api/auth/register", given);
          // Where addresses must be proved first, nobody is signed in yet.
          if (answer.user) session.set(answer.user);
          await go("/verify-email", { email: given.email, sent: true });
          if (answer.user) say(`Welcome, ${nameOf(answer.user)}.`);
        },
      }),
    ),
    el("p", { class: "muted after row" }, "Been here before?", link("#/sign-in", "Sign in")),
  );
}

// What people tell of themselves, however they come to have an account.
export function newcomer(attributes) {
  return [
    field("username", { label: "Username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true, hint: "Letters and digits, with . - _ between them.", ...attributes }),
    field("display_name", { label: "Name", optional: true, autocomplete: "name", maxlength: 80, hint: "Stands above what you write." }),
    field("password", { label: "Password", type: "password", autocomplete: "new-password", required: true, hint: PASSWORD_HINT }),
  ];
}

// Runs a sign-in to its end, whatever the server asks for on the way.
export async function enter(run, { email, next } = {}) {
  let answer;
  try {
    answer = await run();
  } catch (problem) {
    if (problem.code === "EMAIL_NOT_VERIFIED") return go("/verify-email", { email });
    if (!problem.challenge?.methods.includes("password_change")) throw problem;
    answer = await newPassword(problem);
    if (!answer) return undefined;
  }
  const restored = await isRestored();
  session.set(answer.user);
  await go(safe(next));
  say(`Welcome back, ${nameOf(answer.user)}.${restored ? " Your account and your posts are restored." : ""}`);
}

// Signing in brings an account back that its owner had deleted. What happened last tells; without it nothing is missing.
async function isRestored() {
  const { events } = await get("/api/auth/me/events?per_page=4").catch(() => ({ events: [] }));
  const before = events[events.findIndex(({ event }) => event === "session.opened") + 1];
  return before?.event === "user.deletion_cancelled";
}

// The password was right, but is not good enough any more.
function newPassword({ challenge, errors }) {
  return ask("Please choose a new password", (close) => [
    el("p", { class: "muted" }, "Yours was right, but it is not safe any more. ", errors.map(({ message }) => `${message} `)),
    form({
      fields: [field("new_password", { label: "New password", type: "password", autocomplete: "new-password", required: true, hint: PASSWORD_HINT })],
      action: "Save and sign in", cancel: cancelButton(close),
      submit: async ({ new_password }) => close(await post("/api/auth/challenge", { challenge_token: challenge.token, method: "password_change", new_password })),
    }),
  ]);
}

function named(login) {
  return login.includes("@") ? { email: login } : { username: login };
}

// Only ever a place of this page.
function safe(next) {
  return next?.startsWith("/") ? next : "/";
}
