// The parts of a page of settings.

import { el } from "./dom.js";

export function panel(title, text, ...content) {
  return section(title, el("h2", {}, title), text, content);
}

// The same with a few words on how things stand beside its title. `tone`: "" for good, "warm" for what is worth a look, "plain" for neither.
export function standing(title, [words, tone = ""], text, ...content) {
  return section(title, el("div", { class: "row spread" }, el("h2", {}, title), el("span", { class: `badge ${tone}` }, words)), text, content);
}

function section(title, heading, text, content) {
  return el("section", { class: "card", "aria-label": title }, el("div", { class: "panel-head" }, heading, text && el("p", { class: "muted small" }, text)), content);
}

// Where a panel says what went wrong with its buttons.
export function notice() {
  return el("p", { class: "notice", role: "alert" });
}

export function emptyPlace(...words) {
  return el("p", { class: "muted small nothing" }, words);
}
