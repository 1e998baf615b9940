// How one signs in, and who else does: password, passkeys, second step, devices, identities, sessions, keys.

import { get } from "../api.js";
import { el, fill, say } from "../dom.js";
import { providers } from "../identities.js";
import { session } from "../session.js";
import { apiKeys } from "../security/api_keys.js";
import { authenticator } from "../security/authenticator.js";
import { devices } from "../security/devices.js";
import { identities } from "../security/identities.js";
import { passkeys } from "../security/passkeys.js";
import { password } from "../security/password.js";
import { recoveryCodes } from "../security/recovery_codes.js";
import { sessions } from "../security/sessions.js";
import { tabs } from "./account.js";

const PANELS = [password, passkeys, authenticator, recoveryCodes, devices, identities, sessions, apiKeys];

export async function security() {
  const panels = el("div", { class: "panels" });
  const summary = el("div");

  // Everything hangs together: a new factor ends sessions, a new password ends keys. So all is read and drawn anew after a change,
  // and the keyboard goes on where it was.
  async function changed(title, words) {
    await draw();
    const section = [...panels.children].find((each) => each.getAttribute("aria-label") === title);
    const heading = section?.querySelector("h2");
    heading?.setAttribute("tabindex", "-1");
    heading?.focus();
    if (words) say(words);
  }

  async function draw() {
    const state = await read();
    session.set(state.user);
    fill(summary, steps(state));
    fill(panels, PANELS.map((each) => each(state, changed)));
  }

  await draw();
  return el(
    "div", { class: "column" },
    el("h1", {}, "Security"),
    tabs("/security"),
    summary,
    panels,
  );
}

async function read() {
  const [user, mfa, { passkeys: held }, { devices: remembered }, found, { identities: linked }, { sessions: open }, { api_keys: keys }] = await Promise.all([
    get("/api/auth/me"), get("/api/auth/mfa"), get("/api/auth/passkeys"), get("/api/auth/mfa/devices"), providers(),
    get("/api/auth/identities"), get("/api/auth/sessions"), get("/api/auth/api-keys"),
  ]);
  return { user, mfa, passkeys: held, remembered, found, linked, open, keys };
}

// What to do next, in one sentence.
function steps({ mfa }) {
  const [mark, title, text] = standingOf(mfa);
  return el("div", { class: `standing ${mark}` }, el("p", {}, el("strong", {}, title)), el("p", { class: "small" }, text));
}

function standingOf({ enabled, required, enrol_by: by, recovery_codes: left }) {
  if (enabled && left > 2) return ["good", "Your account is well protected", "A stolen password alone opens nothing: signing in takes a second step."];
  if (enabled && !left) return ["look", "You have no recovery codes", "If you lose your device, nothing stands in for it. Make some, and keep them elsewhere."];
  if (enabled) return ["look", "Your recovery codes are running out", "Make new ones before the day you need them."];
  if (required) return ["look", "Your account needs a second step", by ? ["Please make a passkey or set up an authenticator app. Without one you can sign in until ", el("strong", {}, new Date(by).toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" })), "."] : "Please make a passkey or set up an authenticator app."];
  return ["look", "Your password is all that protects your account", "Make a passkey or set up an authenticator app: then a password that somebody guesses, steals or talks you out of is not enough."];
}
