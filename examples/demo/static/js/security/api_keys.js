// Keys by which one's own programs come in.

import { post, remove } from "../api.js";
import { copyButton } from "../copying.js";
import { ask, cancelButton, confirm, withPresence } from "../dialogs.js";
import { day, el, moment } from "../dom.js";
import { doer, field, form, tick } from "../forms.js";
import { emptyPlace, notice, panel } from "../panels.js";
import { session } from "../session.js";

const TITLE = "API keys";
const PATH = "/api/auth/api-keys";
const DAY = 86_400_000;
const TIMES = [["7", "In a week"], ["30", "In 30 days"], ["90", "In 90 days"], ["365", "In a year"]];

// What a key may be given beyond acting as its owner, and which role its owner needs for that.
const SCOPES = [
  ["posts:moderate", "Remove posts of anybody", ["moderator", "admin"]],
  ["users:read", "See accounts", ["admin"]],
  ["users:write", "Change accounts", ["admin"]],
  ["invitations:write", "Invite people", ["admin"]],
  ["audit:read", "Read what happened", ["admin"]],
];

export function apiKeys({ keys }, changed) {
  const said = notice();
  return panel(
    TITLE, "For scripts and programs of yours: a key reads and writes posts in your name. It never changes your account, and you can end it at any time.",
    said,
    keys.length
      ? el("ul", { class: "list sessions", "aria-label": TITLE }, keys.map((key) => el(
        "li", {},
        el(
          "div", { class: "main" },
          el("p", {}, el("strong", {}, key.name), " ", el("code", { class: "muted small" }, `${key.hint}…`)),
          el("p", { class: "muted small" }, key.last_used_at ? ["last used ", moment(key.last_used_at), key.last_used_ip && ` from ${key.last_used_ip}`] : "never used", " · ", until(key)),
          key.scopes.length > 0 && el("p", { class: "badges" }, key.scopes.map((scope) => el("span", { class: "badge plain" }, scope))),
        ),
        doer("Remove…", () => end(key, changed), { notice: said, "aria-label": `Remove the key ${key.name}` }),
      )))
      : emptyPlace("You have no keys."),
    el("div", { class: "below" }, doer("New key", () => create(changed), { notice: said, style: keys.length ? "quiet" : "" })),
  );
}

function until({ expires_at: end }) {
  if (!end) return "never expires";
  return [new Date(end) < new Date() ? "expired on " : "expires on ", day(end)];
}

async function create(changed) {
  const made = await ask("New API key", (close) => form({
    fields: [
      field("name", { label: "Name", maxlength: 100, required: true, autocomplete: "off", placeholder: "Nightly backup", hint: "So that you know it again.", "data-first": true }),
      field("days", { label: "Expires", options: TIMES, value: "90" }),
      scopes(),
    ],
    action: "Make key", cancel: cancelButton(close),
    submit: async ({ name, days }, element) => {
      const asked = { name, scopes: new FormData(element).getAll("scope"), expires_at: endIn(days) };
      const key = await withPresence(() => post(PATH, asked));
      if (key) close(key);
    },
  }));
  if (!made) return;
  await showKey(made);
  await changed(TITLE, "Your key is made.");
}

// A little before the longest time that the server allows, whose clock may be behind.
function endIn(days) {
  return new Date(Date.now() + days * DAY - 120_000).toISOString();
}

function scopes() {
  const mine = SCOPES.filter(([, , roles]) => roles.some((role) => session.has(role)));
  return mine.length > 0 && el(
    "fieldset", { class: "field", "data-field": "scopes" },
    el("legend", {}, "It may also", el("span", { class: "optional" }, " (as little as will do)")),
    mine.map(([scope, words]) => tick("scope", { label: words, hint: scope, value: scope })),
    el("p", { class: "problem" }),
  );
}

// Once, and never again.
function showKey({ key, name }) {
  const line = `curl ${location.origin}/api/auth/me -H "Authorization: Bearer ${key}"`;
  const answer = el("p", { class: "small", role: "status" });
  const said = notice();
  return ask("Keep your key", (close) => [
    el("p", {}, "This is ", el("strong", {}, name), ". It is shown only now: put it where your program reads its secrets, and nowhere else."),
    el("div", { class: "stack tight" }, el("code", { class: "secret", "data-key": true }, key), el("div", { class: "row" }, copyButton(key, "Copy key"))),
    el("div", { class: "stack tight" },
      el("p", { class: "label" }, "Try it"),
      el("pre", { class: "command", tabindex: "0" }, line),
      el("div", { class: "row" }, copyButton(line, "Copy command"), doer("Try it here", () => attempt(key, answer), { notice: said })),
      said, answer),
    el("div", { class: "row" }, el("button", { type: "button", class: "button", onclick: () => close(true) }, "I have kept it")),
  ], { kept: true });
}

// As a program would: by the key alone, without the cookies of this page.
async function attempt(key, answer) {
  const response = await fetch("/api/auth/me", { headers: { Authorization: `Bearer ${key}` }, credentials: "omit", cache: "no-store" });
  const body = await response.json();
  answer.textContent = response.ok ? `It works: the server knows whoever has it as ${body.email}.` : `The server refuses it: ${body.detail ?? body.error}`;
}

async function end(key, changed) {
  const gone = await confirm(`Remove the key ${key.name}?`, "Whatever uses it is refused from that moment on.", "Remove key", () => remove(`${PATH}/${key.id}`).then(() => true));
  if (gone) await changed(TITLE, `The key ${key.name} is removed.`);
}
