// Start, routes and the bar on top.

import { get, mayBeSignedIn, signOut } from "./api.js";
import { avatar, el, fill, link, nameOf } from "./dom.js";
import { stopWaiting } from "./passkeys.js";
import { session } from "./session.js";
import { acceptInvitation } from "./views/accept.js";
import { account } from "./views/account.js";
import { confirmEmailChange, undoEmailChange } from "./views/change_address.js";
import { home } from "./views/home.js";
import { invitations } from "./views/invitations.js";
import { people } from "./views/people.js";
import { person } from "./views/person.js";
import { post } from "./views/post.js";
import { forgotPassword, resetPassword } from "./views/recover.js";
import { security } from "./views/security.js";
import { signedIn } from "./views/signed_in.js";
import { register, signIn } from "./views/sign_in.js";
import { signInByMail } from "./views/sign_in_by_mail.js";
import { unlock } from "./views/unlock.js";
import { verifyEmail } from "./views/verify.js";
import { write } from "./views/write.js";

const main = document.getElementById("main");

// Pattern, view, who: "anybody", "signed-in", "nobody" (signed out) or a role.
const ROUTES = [
  [/^\/$/, home, "anybody"],
  [/^\/posts\/(\d+)$/, post, "anybody"],
  [/^\/posts\/(\d+)\/edit$/, write, "signed-in"],
  [/^\/write$/, write, "signed-in"],
  [/^\/sign-in$/, signIn, "nobody"],
  [/^\/signed-in$/, signedIn, "anybody"],
  [/^\/sign-in-by-mail$/, signInByMail, "nobody"],
  [/^\/register$/, register, "nobody"],
  [/^\/verify-email$/, verifyEmail, "anybody"],
  [/^\/forgot-password$/, forgotPassword, "anybody"],
  [/^\/reset-password$/, resetPassword, "anybody"],
  [/^\/unlock$/, unlock, "anybody"],
  [/^\/confirm-email-change$/, confirmEmailChange, "anybody"],
  [/^\/undo-email-change$/, undoEmailChange, "anybody"],
  [/^\/accept-invitation$/, acceptInvitation, "anybody"],
  [/^\/account$/, account, "signed-in"],
  [/^\/security$/, security, "signed-in"],
  [/^\/people$/, people, "admin"],
  [/^\/people\/invitations$/, invitations, "admin"],
  [/^\/people\/(\d+)$/, person, "admin"],
];

// Links in mails lead to /name#token=..., identity providers to /signed-in?code=..., and this page answers there too. Before anything
// else what they hand over leaves the address bar, and with it the history. Opening a link uses nothing up: its view has a button for that.
// Whoever goes on to another page leaves it behind.
const handed = { path: location.pathname, given: {} };
if (handed.path !== "/") {
  const query = new URLSearchParams(location.search);
  handed.given = { token: new URLSearchParams(location.hash.slice(1)).get("token"), code: query.get("code"), error: query.get("error") };
  history.replaceState(null, "", `/#${handed.path}`);
}

let shown = 0;

async function route() {
  const [path, query = ""] = (location.hash.slice(1) || "/").split("?");
  if (path !== handed.path) handed.given = {};
  const place = { path, query: new URLSearchParams(query), ...handed.given, ...history.state };
  const found = ROUTES.map(([pattern, view, who]) => [path.match(pattern), view, who]).find(([match]) => match);
  const [match, view, who] = found ?? [null, lost, "anybody"];
  if (who === "nobody" && session.user) return go("/");
  if (who !== "nobody" && who !== "anybody" && !session.user) return go(`/sign-in?next=${encodeURIComponent(path)}`);
  const allowed = ["nobody", "anybody", "signed-in"].includes(who) || session.has(who);
  const turn = ++shown;
  stopWaiting();
  bar(path);
  fill(document.getElementById("said"));
  const waiting = setTimeout(() => turn === shown && fill(main, el("p", { class: "loading" }, "One moment…")), 150);
  let content;
  try {
    content = await (allowed ? view : lost)({ ...place, parameters: match?.slice(1) ?? [] });
  } catch (problem) {
    content = failed(problem);
  } finally {
    clearTimeout(waiting);
  }
  if (turn !== shown) return; // somebody has gone on meanwhile
  fill(main, content);
  const heading = main.querySelector("h1");
  document.title = heading && path !== "/" ? `${heading.textContent} · Commonplace` : "Commonplace";
  window.scrollTo(0, 0);
  if (turn > 1 && !main.querySelector("[data-focus]")) {
    heading?.setAttribute("tabindex", "-1");
    heading?.focus();
  }
  main.querySelector("[data-focus]")?.focus();
}

// `given` is for the view: a `notice` to show, an `email` to fill in.
export function go(path, given = {}) {
  history.pushState(given, "", `#${path}`);
  return route();
}

// Shows the same page anew, after something on it has changed.
export const again = route;

function lost() {
  return el("div", { class: "column empty" }, el("h1", {}, "There is nothing here"), el("p", {}, "The page is gone, or never was."), link("#/", "Back to the posts", { class: "button quiet" }));
}

function failed(problem) {
  if (problem.status === 404) return lost();
  return el(
    "div", { class: "column empty" },
    el("h1", {}, "That did not work"), el("p", { role: "alert" }, problem.message),
    el("button", { class: "button quiet", type: "button", onclick: route }, "Try again"),
  );
}

function bar(path) {
  const here = (to) => path === to || (to !== "/" && path.startsWith(`${to}/`));
  const item = (to, text) => link(`#${to}`, text, { "aria-current": here(to) ? "page" : undefined });
  fill(
    document.getElementById("nav"),
    session.user && [item("/", "Read"), item("/write", "Write"), session.has("admin") && item("/people", "People")],
  );
  fill(
    document.getElementById("who"),
    session.user
      ? el("a", { class: "chip", href: "#/account", "aria-label": `Your account, ${nameOf(session.user)}` }, avatar(session.user), el("span", { class: "chip-name" }, nameOf(session.user)))
      : [link("#/sign-in", "Sign in", { class: "button quiet small" }), link("#/register", "Register", { class: "button small" })],
  );
  fill(
    document.getElementById("banner"),
    session.user && !session.user.email_verified && path !== "/verify-email" && el(
      "p", { class: "banner", role: "status" },
      "Your address ", el("strong", {}, session.user.email), " is not confirmed yet. ", link("#/verify-email", "Enter the code"),
    ),
  );
}

session.listener = () => bar((location.hash.slice(1) || "/").split("?")[0]);
session.onLost = () => {
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  go("/sign-in", { notice: "Your session has ended. Please sign in again." });
};

// Another tab may have signed in or out meanwhile.
document.addEventListener("visibilitychange", async () => {
  if (document.hidden || mayBeSignedIn() === Boolean(session.user)) return;
  session.set(await present());
  route();
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

// The account behind the cookies; those of a session that is over are cleared.
async function present() {
  if (!mayBeSignedIn()) return null;
  try {
    return await get("/api/auth/me");
  } catch (problem) {
    if (problem.status === 401) await signOut();
    return null;
  }
}

session.user = await present();
// Not before it is known who is there: whoever is signed in would be led to the sign-in.
window.addEventListener("hashchange", route);
await route();
