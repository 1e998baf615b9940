// What happened to an account, in plain words, newest first.

import { get } from "../api.js";
import { append, day, el, moment, nameOf } from "../dom.js";
import { doer } from "../forms.js";
import { session } from "../session.js";

const PER_PAGE = 6;

const ENDED = {
  logout: "Signed out",
  password_changed: "Signed out by a new password",
  reuse: "Signed out, because the sign-in was used from two places",
  limit: "Signed out of the oldest of too many places",
  disabled: "Signed out, because the account was disabled",
  email_undone: "Signed out, because the old address was taken back",
  deleted: "Signed out, because the account was deleted",
  actor_gone: "Support has left, because its own sign-in ended",
  refused: "Signed out, because a second step is needed by now",
  claimed: "Signed out, because the address was proved for the first time",
};
const REFUSED = {
  INVALID_CREDENTIALS: "Wrong password",
  ACCOUNT_DISABLED: "Sign-in refused, because the account is disabled",
  EMAIL_NOT_VERIFIED: "Sign-in refused, because the address is not confirmed",
  ONE_TIME_TOKEN_INVALID: "A link or code that was not good any more",
  OTHER_BROWSER: "A link to sign in, opened in another browser",
};
const PASSWORDS = { removed: "Password made useless", reset: "New password, by a link from a mail" };
const WORDS = {
  "user.registered": () => "Account made",
  "users.imported": ({ imported }) => `${imported} accounts brought in from elsewhere`,
  "user.updated": ({ fields = [] }) => `Changed: ${fields.map((name) => name.replaceAll("_", " ")).join(", ")}`,
  "user.registration_repeated": () => "Somebody tried to register with this address",
  "user.disabled": ({ reason, until }) => ["Account disabled", until && [" until ", day(until)], reason && `: ${reason}`],
  "user.deletion_requested": ({ erase_at: at }) => ["Account deleted", at && [", for good on ", day(at)]],
  "user.deletion_cancelled": () => "Account restored",
  "user.deleted": () => "Account deleted for good",
  "user.enabled": () => "Account enabled",
  "user.unlock_requested": () => "A link to try again after wrong passwords was sent",
  "user.unlocked": () => "Wrong passwords forgotten",
  "user.claimed": () => "Address proved for the first time: whoever came before is out",
  "user.exported": () => "All data downloaded",
  "email.change_requested": ({ new: now }) => `Asked for another address${now ? `, ${now}` : ""}`,
  "email.changed": ({ old, new: now }) => (old && now ? `Address changed from ${old} to ${now}` : "Address changed"),
  "email.change_undone": () => "Address taken back",
  "email.verification_requested": () => "Asked once more to confirm the address",
  "email.verified": () => "Address confirmed",
  "factor.changed": ({ factor, change }) => `Way to sign in ${change}: ${factor.replaceAll("_", " ")}`,
  "factor.recovery_code_used": ({ left }) => `A recovery code used; ${left} left`,
  "factor.device_remembered": ({ device, until }) => [`Not asked for a second step${device ? ` on ${device}` : ""}`, until && [" until ", day(until)]],
  "factor.devices_forgotten": () => "Every device is asked for a second step again",
  "session.second_factor_failed": () => "Right password, but the second step failed again and again",
  "identity.linked": ({ provider }) => `Signs in with ${provider} too`,
  "identity.unlinked": ({ provider }) => `Signs in with ${provider} no more`,
  "passkey.registered": () => "Made a passkey",
  "passkey.removed": () => "Removed a passkey",
  "passkey.clone_suspected": () => "A passkey was refused: there may be a copy of it",
  "api_key.created": ({ label }) => `Key made for a program${label ? `: ${label}` : ""}`,
  "api_key.revoked": () => "Key of a program withdrawn",
  "api_key.refused": () => "A key that is not good here was tried",
  "impersonation.started": () => "Support looks at the account",
  "impersonation.ended": () => "Support has left the account",
  "service_account.created": () => "Account of a program made",
  "signing_key.changed": ({ change }) => `Signing key ${change}`,
  "client.refused": () => "Another service did not prove who it is",
  "client.revoked_token": () => "Signed out by another service",
  "magic_link.requested": () => "A mail to sign in with was sent",
  "password.reset_requested": () => "A link to set a new password was sent",
  "password.changed": ({ way }) => PASSWORDS[way] ?? "New password",
  "password.breach_check_failed": () => "Nobody could say whether a password is known to others",
  "session.opened": ({ amr = [] }) => (amr.includes("email") ? "Signed in by mail" : "Signed in"),
  "session.new_device": ({ device }) => `On a new device${device ? `: ${device}` : ""}`,
  "session.refused": ({ reason }) => REFUSED[reason] ?? "Sign-in refused",
  "session.challenged": () => "One more step to sign in was asked for",
  "session.reauthenticated": () => "Proved once more who it is",
  "session.refreshed": () => "Stayed signed in",
  "session.ended": ({ reason }) => ENDED[reason] ?? "Signed out from another place",
  "session.reuse_detected": () => "A copied sign-in was noticed",
  "access.refused": () => "Tried something that is not allowed",
  "access.limited": () => "Held back after too many attempts",
  "limits.store_failed": ({ allowed }) => `Attempts could not be counted, and were ${allowed ? "let through" : "refused"}`,
  "mail.failed": () => "A mail could not be sent",
  "invitation.sent": ({ again }) => (again ? "Invitation sent again" : "Somebody invited"),
  "invitation.accepted": () => "Invitation accepted",
  "invitation.withdrawn": () => "Invitation withdrawn",
  "roles.changed": ({ granted = [], revoked = [] }) => [granted.length && `Given the role ${granted.join(", ")}`, revoked.length && `The role ${revoked.join(", ")} taken away`].filter(Boolean).join("; "),
  "role.saved": ({ role }) => `The role ${role} made or changed`,
  "role.deleted": ({ role }) => `The role ${role} deleted`,
};

// The events at `path`, a page of the server's at a time. `by` says who did it: own events and others tell it differently.
export async function activity(path, by = byMe) {
  const list = el("ol", { class: "list events", "aria-label": "Activity" });
  const more = el("div", { class: "more" });
  const notice = el("p", { class: "notice", role: "alert" });

  async function load(cursor) {
    const query = new URLSearchParams({ per_page: PER_PAGE, ...(cursor && { cursor }) });
    const { events, next_cursor: next } = await get(`${path}?${query}`);
    const who = await Promise.all(events.map(by));
    append(list, events.map((event, index) => item(event, who[index])));
    more.replaceChildren();
    if (next) more.append(doer("Show older", () => load(next), { notice }));
    return events;
  }

  const first = await load();
  return el("div", { class: "stack" }, first.length ? list : el("p", { class: "muted small" }, "Nothing yet."), notice, more);
}

function item(event, who) {
  const words = WORDS[event.event] ?? plain;
  const from = [event.ip_address, device(event.user_agent)].filter(Boolean).join(", ");
  return el(
    "li", {},
    el(
      "div", { class: "main" },
      el("p", {}, el("strong", {}, words(event.details, event)), event.outcome === "failure" && [" ", el("span", { class: "badge off" }, "refused")]),
      el("p", { class: "muted small", title: event.user_agent }, moment(event.at), who && ` · ${who}`, from && ` · ${from}`),
    ),
  );
}

// For an event that came to be after this page: its name has to do.
function plain(details, { event }) {
  const text = event.replace(/[._]/g, " ");
  return text[0].toUpperCase() + text.slice(1);
}

function byMe({ by_me: mine, ip_address: address }) {
  return mine || address ? null : "by an administrator";
}

// For administrators: `user_id` and `actor_id` are keys, as text.
const names = new Map();
export async function byWhom({ actor_id: actor, user_id: subject }) {
  if (actor === null || actor === subject) return null;
  if (actor === String(session.user.id)) return "by you";
  if (!names.has(actor)) names.set(actor, get(`/api/users/${actor}`).then(nameOf, () => "somebody who is gone"));
  return `by ${await names.get(actor)}`;
}

const BROWSERS = [[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"]];
const SYSTEMS = [[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS X/, "macOS"], [/CrOS/, "ChromeOS"], [/Linux/, "Linux"]];

function device(agent) {
  const found = (kinds) => kinds.find(([pattern]) => pattern.test(agent ?? ""))?.[1];
  return [found(BROWSERS), found(SYSTEMS)].filter(Boolean).join(" on ");
}
