// One's own account: what others see, the address, the password, where one is signed in, and leaving.

import { download, get, patch, post, remove, signOut } from "../api.js";
import { reauthenticate, withPresence } from "../dialogs.js";
import { avatar, el, fill, link, moment, nameOf, say } from "../dom.js";
import { doer, field, form, PASSWORD_HINT } from "../forms.js";
import { go } from "../app.js";
import { session } from "../session.js";
import { activity } from "./activity.js";

export async function account() {
  const [user, { sessions }, events] = await Promise.all([get("/api/auth/me"), get("/api/auth/sessions"), activity("/api/auth/me/events")]);
  session.set(user);
  return el(
    "div", { class: "column" },
    el(
      "div", { class: "row spread head" },
      el("div", { class: "row grow" }, avatar(user, "large"), el("div", { class: "grow" }, el("h1", {}, "Your account"), el("p", { class: "muted" }, user.email, ...user.roles.map((role) => [" ", el("span", { class: "badge" }, role)])))),
      el("button", { class: "button quiet", type: "button", onclick: leave }, "Sign out"),
    ),
    el(
      "div", { class: "panels" },
      panel("Profile", "What readers see beside your posts.", profile(user)),
      panel("E-mail address", ["You sign in with ", el("strong", {}, user.email), ". Another one counts once it has proved itself: we send it a code."], address()),
      panel("Password", ["Changing it signs you out everywhere else. ", link("#/forgot-password", "Forgotten, or none yet?")], password(user)),
      panel("Where you are signed in", "Do not know one of them? End it, and change your password.", sessionList(sessions)),
      panel("What happened lately", "Was it not you? Change your password, and end the session.", events),
      panel("Your data", "Everything that is stored about you, in one file for machines; what you have written, also as a text to read.", data()),
      panel("Delete account", "Your account and all you have written are gone from here at once, and for good after 30 days. Until then signing in brings them back.", el("button", { class: "button danger", type: "button", onclick: deleteAccount }, "Delete account…")),
    ),
  );
}

function panel(title, text, ...content) {
  return el("section", { class: "card" }, el("div", { class: "panel-head" }, el("h2", {}, title), el("p", { class: "muted small" }, text)), content);
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

function password(user) {
  return form({
    fields: [
      el("input", { type: "text", hidden: true, name: "", autocomplete: "username", value: user.email, readonly: true, tabindex: "-1", "aria-hidden": "true" }),
      field("current_password", { label: "Current password", type: "password", autocomplete: "current-password" }),
      field("new_password", { label: "New password", type: "password", autocomplete: "new-password", hint: PASSWORD_HINT }),
    ],
    action: "Change password",
    submit: async ({ current_password, new_password }, element) => {
      await post("/api/auth/password/change", { current_password, new_password });
      element.reset();
      await refreshSessions();
      say("Your password is changed. Every other session has ended.");
    },
  });
}

function sessionList(sessions) {
  const place = el("div", { class: "stack", id: "sessions" });
  drawSessions(place, sessions);
  return place;
}

async function refreshSessions() {
  const place = document.getElementById("sessions");
  const { sessions } = await get("/api/auth/sessions");
  if (place) drawSessions(place, sessions);
}

function drawSessions(place, sessions) {
  const ordered = sessions.toSorted((one, other) => other.current - one.current);
  const act = (path, said) => async (event) => {
    event.currentTarget.disabled = true;
    try {
      await remove(path);
      say(said);
    } catch (problem) {
      say(problem.message);
    }
    await refreshSessions();
    place.querySelector("button")?.focus();
  };
  fill(
    place,
    el("ul", { class: "list sessions", "aria-label": "Sessions" }, ordered.map((item) => el(
      "li", {},
      el(
        "div", { class: "main" },
        el("p", {}, el("strong", { title: item.user_agent }, item.device), " ", item.current && el("span", { class: "badge" }, "this one")),
        el("p", { class: "muted small" }, item.ip_address ?? "unknown address", " · last used ", moment(item.last_used_at)),
      ),
      !item.current && el("button", { class: "button quiet small", type: "button", "aria-label": `End the session ${item.device}, ${item.ip_address ?? "unknown address"}`, onclick: act(`/api/auth/sessions/${item.id}`, "The session has ended.") }, "End"),
    ))),
    sessions.length > 1
      ? el("button", { class: "button quiet", type: "button", onclick: act("/api/auth/sessions", "All other sessions have ended.") }, "End all others")
      : el("p", { class: "muted small" }, "You are signed in nowhere else."),
  );
}

async function deleteAccount() {
  const name = nameOf(session.user);
  const done = await reauthenticate({
    title: "Delete your account?",
    text: `${name} is signed out everywhere, and all posts are hidden. Sign in within 30 days, and everything is back; after that it is gone for good. Give your password to confirm.`,
    action: "Delete account", style: "danger",
    then: () => remove("/api/auth/me"),
  });
  if (!done) return;
  await signOut();
  await go("/");
  say("Your account is deleted. Until it is gone for good, signing in brings it back.");
}
