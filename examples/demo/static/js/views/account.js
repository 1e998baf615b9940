// One's own account: what others see, the address, what happened, and leaving. How one signs in is the page "Security".

import { download, get, patch, post, remove, signOut } from "../api.js";
import { reauthenticate, withPresence } from "../dialogs.js";
import { avatar, el, link, nameOf, say } from "../dom.js";
import { doer, field, form } from "../forms.js";
import { go } from "../app.js";
import { panel } from "../panels.js";
import { session } from "../session.js";
import { activity } from "./activity.js";

export async function account() {
  const [user, events] = await Promise.all([get("/api/auth/me"), activity("/api/auth/me/events")]);
  session.set(user);
  return el(
    "div", { class: "column" },
    el(
      "div", { class: "row spread" },
      el("div", { class: "row grow" }, avatar(user, "large"), el("div", { class: "grow" }, el("h1", {}, "Your account"), el("p", { class: "muted" }, user.email, ...user.roles.map((role) => [" ", el("span", { class: "badge" }, role)])))),
      el("button", { class: "button quiet", type: "button", onclick: leave }, "Sign out"),
    ),
    tabs("/account"),
    el(
      "div", { class: "panels" },
      panel("Profile", "What readers see beside your posts.", profile(user)),
      panel("E-mail address", ["You sign in with ", el("strong", {}, user.email), ". Another one counts once it has proved itself: we send it a code."], address()),
      panel("What happened lately", ["Was it not you? See to your ", link("#/security", "password and sessions"), "."], events),
      panel("Your data", "Everything that is stored about you, in one file for machines; what you have written, also as a text to read.", data()),
      panel("Delete account", "Your account and all you have written are gone from here at once, and for good after 30 days. Until then signing in brings them back.", deletion()),
    ),
  );
}

// The two pages of an account.
export function tabs(here) {
  const tab = (path, text) => link(`#${path}`, text, { "aria-current": path === here ? "page" : undefined });
  return el("nav", { class: "tabs account-tabs", "aria-label": "Your account" }, tab("/account", "Account"), tab("/security", "Security"));
}

async function leave() {
  await signOut();
  await go("/");
  say("You are signed out.");
}

function data() {
  const notice = el("p", { class: "notice", role: "alert" });
  return el(
    "div", { class: "stack" }, notice,
    el(
      "div", { class: "row" },
      doer("Download everything", () => withPresence(() => download("/api/auth/me/export", "account.json")), { notice, style: "quiet" }),
      doer("Download your posts", () => download("/api/archive", "commonplace.md"), { notice, style: "quiet" }),
    ),
  );
}

function profile(user) {
  return form({
    fields: [
      field("display_name", { label: "Name", optional: true, maxlength: 80, value: user.display_name, autocomplete: "name" }),
      field("username", { label: "Username", value: user.username ?? "", autocomplete: "off", autocapitalize: "none", spellcheck: "false" }),
      field("bio", { label: "About you", optional: true, rows: 3, maxlength: 500, value: user.bio }),
    ],
    action: "Save profile",
    submit: async (given) => {
      session.set(await patch("/api/auth/me", given));
      say("Your profile is saved.");
    },
  });
}

function address() {
  return form({
    fields: [field("email", { label: "New e-mail address", type: "email", autocomplete: "email", required: true })],
    action: "Change address",
    submit: async ({ email }) => {
      const asked = await withPresence(() => post("/api/auth/email/change", { email }));
      if (asked) await go("/confirm-email-change", { email, token: null });
    },
  });
}

function deletion() {
  const notice = el("p", { class: "notice", role: "alert" });
  return el("div", { class: "stack" }, notice, el("div", {}, doer("Delete account…", deleteAccount, { notice, style: "danger" })));
}

async function deleteAccount() {
  const name = nameOf(session.user);
  const proved = await reauthenticate({
    title: "Delete your account?",
    text: `${name} is signed out everywhere, and all posts are hidden. Sign in within 30 days, and everything is back; after that it is gone for good.`,
    action: "Delete account", style: "danger",
  });
  if (!proved) return;
  await remove("/api/auth/me");
  await signOut();
  await go("/");
  say("Your account is deleted. Until it is gone for good, signing in brings it back.");
}
