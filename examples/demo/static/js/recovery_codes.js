// Recovery codes, shown once: to be copied, saved or printed.

import { copyButton, save } from "./copying.js";
import { ask } from "./dialogs.js";
import { el } from "./dom.js";
import { session } from "./session.js";

export function showCodes(codes) {
  return ask("Keep your recovery codes", (close) => [
    el("p", {}, "If you lose your device, each of these lets you in once. They are shown only now: keep them where you keep what must not be lost, and not on the device itself."),
    el("ul", { class: "codes", "aria-label": "Recovery codes" }, codes.map((code) => el("li", {}, el("code", {}, code)))),
    el(
      "div", { class: "row" },
      copyButton(codes.join("\n")),
      el("button", { type: "button", class: "button quiet small", onclick: () => save(text(codes), "commonplace-recovery-codes.txt") }, "Download"),
      el("button", { type: "button", class: "button quiet small", onclick: () => window.print() }, "Print"),
    ),
    el("div", { class: "row" }, el("button", { type: "button", class: "button", onclick: () => close(true) }, "I have kept them")),
  ], { kept: true });
}

function text(codes) {
  return `Commonplace: recovery codes of ${session.user.email}\nMade on ${new Date().toISOString().slice(0, 10)}. Each works once.\n\n${codes.join("\n")}\n`;
}
