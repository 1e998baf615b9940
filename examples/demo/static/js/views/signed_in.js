// Where an identity provider sends the browser back to, with a code that this page exchanges: to sign in, to link an identity, or to prove
// presence.

import { post } from "../api.js";
import { el, link, nameOf, say } from "../dom.js";
import { form } from "../forms.js";
import { go } from "../app.js";
import { errand, labelOf, providers } from "../identities.js";
import { session } from "../session.js";
import { enter, newcomer } from "./sign_in.js";

const WORDS = {
  IDENTITY_REFUSED: "You said no there, or it was refused.",
  IDENTITY_INVALID: "What came back proves nothing. Please try again.",
  IDENTITY_UNKNOWN: "Nobody here is known by this identity, and its address is not confirmed there. Sign in another way, and link it on your page “Security”.",
  IDENTITY_NOT_RECENT: "It does not say that you have just signed in there. Sign out here and in again, and go on then.",
  ONE_TIME_TOKEN_INVALID: "That took too long, or this page was opened twice. Please try again.",
  OTHER_BROWSER: "It was begun in another browser. Please try again in this one.",
  PROVIDER_UNAVAILABLE: "It does not answer at the moment. Please try again later.",
  RATE_LIMITED: "Too many attempts. Please wait a little.",
};

export async function signedIn({ code, error }) {
  const { act, next } = errand();
  if (error || !code) return over(WORDS[error] ?? "Please begin once more.");
  const run = !session.user ? entering : act === "reauthenticate" ? confirming : linking;
  try {
    return await run(code, next);
  } catch (problem) {
    if (problem.status === 0 || problem.status >= 500) throw problem;
    return over(WORDS[problem.code] ?? problem.message);
  }
}

async function linking(code) {
  const { provider, email } = await post("/api/auth/identities", { code });
  const label = labelOf(provider, await providers());
  await go("/security");
  say(`You can sign in with ${label} from now on${email ? `, as ${email}` : ""}.`);
}

async function confirming(code, next) {
  await post("/api/auth/oidc/reauthenticate", { code });
  await go(next ?? "/security");
  say("You have confirmed that it is you. Please do it once more now.");
}

async function entering(code, next) {
  try {
    await exchange({ code }, next);
  } catch (problem) {
    if (problem.code !== "VALIDATION_ERROR" || !problem.errors.some(({ field }) => field !== "code")) throw problem;
    return introduce(code, next);
  }
  return session.user ? undefined : over("You have not finished signing in.");
}

function exchange(given, next, options = {}) {
  return enter(() => post("/api/auth/oidc/token", given), { next, ...options });
}

// Somebody new: what the blog wants to know beside what the provider has told.
function introduce(code, next) {
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Nearly there"), el("p", { class: "muted" }, "You are new here. What shall we call you?")),
    el("div", { class: "card stack" }, form({
      fields: newcomer({ "data-focus": true }, { password: false }), action: "Join", wide: true,
      submit: (given) => exchange({ code, ...given }, next, { welcome: (user) => `Welcome, ${nameOf(user)}.` }),
    })),
  );
}

function over(text) {
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, session.user ? "Nothing has changed" : "Not signed in")),
    el("div", { class: "card stack" }, el("p", { role: "alert" }, text), el("p", {}, session.user ? link("#/security", "Back to “Security”") : link("#/sign-in", "Sign in"))),
  );
}
