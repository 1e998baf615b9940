// Questions that need an answer before anything goes on.

import { post } from "./api.js";
import { el } from "./dom.js";
import { field, form } from "./forms.js";
import { session } from "./session.js";

// Opens a modal dialog and resolves with what `close(value)` was given; undefined when it was dismissed.
export function ask(title, build) {
  return new Promise((resolve) => {
    const heading = el("h2", { id: "dialog-title" }, title);
    const dialog = el("dialog", { "aria-labelledby": "dialog-title" });
    let answer;
    const close = (value) => {
      answer = value;
      dialog.close();
    };
    dialog.append(el("div", { class: "stack" }, heading, build(close, dialog)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export function cancelButton(close, text = "Cancel") {
  return el("button", { type: "button", class: "button quiet", onclick: () => close() }, text);
}

// Yes or no; `act` runs on yes, and what goes wrong is said in the dialog.
export function confirm(title, text, action, act) {
  return ask(title, (close) => [
    el("p", { class: "muted" }, text),
    form({ fields: [], action, style: "danger", cancel: cancelButton(close), submit: async () => { await act(); close(true); } }),
  ]);
}

// Asks for the password and proves presence with it.
export function reauthenticate({ title = "Confirm that it is you", text = "You signed in a while ago. Please give your password once more.", action = "Confirm", style, then } = {}) {
  return ask(title, (close) => [
    el("p", { class: "muted" }, text),
    form({
      fields: [
        el("input", { type: "text", hidden: true, autocomplete: "username", value: session.user.email, readonly: true, tabindex: "-1", "aria-hidden": "true" }),
        field("password", { label: "Password", type: "password", autocomplete: "current-password", required: true }),
      ],
      action, style,
      cancel: cancelButton(close),
      submit: async ({ password }) => {
        await post("/api/auth/reauthenticate", { password });
        await then?.();
        close(true);
      },
    }),
  ]);
}

// Runs `act`; where the server wants presence proved first, asks and runs it again. False when that was declined.
export async function withPresence(act) {
  try {
    await act();
    return true;
  } catch (problem) {
    if (problem.code !== "REAUTHENTICATION_REQUIRED") throw problem;
    return Boolean(await reauthenticate({ then: act }));
  }
}
