// The roles that this blog knows, as one choice of three.

import { el } from "./dom.js";

const RANKS = [
  ["", "Member", "Writes, and edits what is their own."],
  ["moderator", "Moderator", "Deletes posts of anybody."],
  ["admin", "Administrator", "Everything, these pages included."],
];

// Radio buttons named `rank`; the highest of `roles` is chosen.
export function rankField(roles = [], label = {}) {
  const held = RANKS.toReversed().find(([role]) => !role || roles.includes(role))[0];
  return el(
    "fieldset", { class: "field", "data-field": "roles" },
    el("legend", label, "Role"),
    RANKS.map(([role, name, text]) => el("label", { class: "choice" }, el("input", { type: "radio", name: "rank", value: role, checked: role === held }), el("span", {}, el("strong", {}, name), el("span", { class: "muted small" }, text)))),
    el("p", { class: "problem" }),
  );
}

// The roles that a choice stands for. Others that an account has are left as they are.
export function rolesOf(rank, roles = []) {
  const others = roles.filter((role) => !RANKS.some(([known]) => known === role));
  return rank ? [...others, rank] : others;
}
