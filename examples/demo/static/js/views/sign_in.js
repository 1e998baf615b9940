// Signing in and registering.

import { get, post } from "../api.js";
import { answerAll } from "../challenges.js";
import { el, link, nameOf, say } from "../dom.js";
import { doer, field, form, PASSWORD_HINT } from "../forms.js";
import { go } from "../app.js";
import { divider, providers, signInButtons } from "../identities.js";
import { make, offerAutofill, possible, signInWithPasskey } from "../passkeys.js";
import { session } from "../session.js";
import { signInByLink } from "./sign_in_by_mail.js";

export async function signIn({ query, notice, token }) {
  if (token) return signInByLink(token);
  const found = await providers();
  const said = el("p", { class: "notice", role: "alert" });
  const next = query.get("next");
  const byPasskey = (run) => enter(run, { next });
  // Once the field is on the page.
  setTimeout(() => offerAutofill(document.querySelector("[name=login]"), (run) => byPasskey(run).catch((problem) => { said.textContent = problem.message; })));
  const heldBack = el("p", { hidden: true }, "Was it you? ", link("#/unlock", "Have a link mailed"), " to try again at once.");
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Sign in")),
    el(
      "div", { class: "card stack" },
      el("p", { class: "notice calm", role: "status" }, notice ?? ""),
      form({
        fields: [
          field("login", { label: "E-mail address or username", autocomplete: possible ? "username webauthn" : "username", autocapitalize: "none", spellcheck: "false", "data-focus": true, required: true }),
          field("password", { label: "Password", type: "password", autocomplete: "current-password", required: true }),
        ],
        action: "Sign in", wide: true,
        submit: async ({ login, password }) => {
          try {
            await enter(() => post("/api/auth/login", { ...named(login), password }), { email: named(login).email, next });
          } catch (problem) {
            heldBack.hidden = problem.status !== 429;
            throw problem;
          }
        },
      }),
      heldBack,
      el("p", { class: "row spread" }, link("#/forgot-password", "Forgot your password?"), link(`#/sign-in-by-mail?${query}`, "Sign in by mail")),
      (possible || found.length > 0) && [
        divider("or"), said,
        possible && doer("Sign in with a passkey", async () => byPasskey(await signInWithPasskey()), { notice: said, style: "quiet wide" }),
        signInButtons(found, { notice: said, next }),
      ],
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
        submit: (given) => registered(() => post("/api/auth/register", given), given),
        other: possible && {
          action: "Register with a passkey instead",
          submit: async ({ password, ...given }) => {
            const { options } = await post("/api/auth/passkeys/register/options", given);
            const credential = await make(options);
            await registered(() => post("/api/auth/passkeys/register", { ...given, credential }), given);
          },
        },
      }),
    ),
    el("p", { class: "muted after row" }, "Been here before?", link("#/sign-in", "Sign in")),
  );
}

async function registered(run, { email }) {
  // The account is there, but what else it needs to sign in can wait for its address to be proved.
  const answer = await run().catch((problem) => {
    if (!problem.challenge) throw problem;
    return {};
  });
  if (answer.user) session.set(answer.user);
  await go("/verify-email", { email, sent: true });
  if (answer.user) say(`Welcome, ${nameOf(answer.user)}.`);
}

// What people tell of themselves, however they come to have an account.
export function newcomer(attributes, { password = true } = {}) {
  return [
    field("username", { label: "Username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", required: true, hint: "Letters and digits, with . - _ between them.", ...attributes }),
    field("display_name", { label: "Name", optional: true, autocomplete: "name", maxlength: 80, hint: "Stands above what you write." }),
    password && field("password", { label: "Password", type: "password", autocomplete: "new-password", required: true, hint: PASSWORD_HINT }),
  ];
}

// Runs a sign-in to its end, whatever the server asks for on the way. `welcome` says what is said then.
export async function enter(run, { email, next, welcome = (user) => `Welcome back, ${nameOf(user)}.` } = {}) {
  let answer;
  try {
    answer = await run().catch((problem) => {
      if (!problem.challenge) throw problem;
      return answerAll(problem);
    });
  } catch (problem) {
    if (problem.code === "EMAIL_NOT_VERIFIED") return go("/verify-email", { email });
    throw problem;
  }
  if (!answer) return undefined;
  const restored = await isRestored();
  session.set(answer.user);
  await go(safe(next));
  say(`${welcome(answer.user)}${restored ? " Your account and your posts are restored." : ""}`);
}

// Signing in brings an account back that its owner had deleted. What happened last tells; without it nothing is missing.
async function isRestored() {
  const { events } = await get("/api/auth/me/events?per_page=4").catch(() => ({ events: [] }));
  const before = events[events.findIndex(({ event }) => event === "session.opened") + 1];
  return before?.event === "user.deletion_cancelled";
}

function named(login) {
  return login.includes("@") ? { email: login } : { username: login };
}

// Only ever a place of this page.
function safe(next) {
  return next?.startsWith("/") ? next : "/";
}
