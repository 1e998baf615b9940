// Questions that need an answer before anything goes on.

import { get, post, signOut } from "./api.js";
import { el } from "./dom.js";
import { form } from "./forms.js";
import { go } from "./app.js";
import { confirming, goTo } from "./identities.js";
import { proofForm } from "./proofs.js";

let count = 0;

// Opens a modal dialog and resolves with what `close(value)` was given; undefined when it was dismissed. One that is `kept` is
// not dismissed by the Escape key: what it shows is shown once.
export function ask(title, build, { kept = false } = {}) {
  return new Promise((resolve) => {
    const id = `dialog-${++count}`;
    const heading = el("h2", { id, tabindex: "-1" }, title);
    const dialog = el("dialog", { "aria-labelledby": id });
    let answer;
    const close = (value) => {
      answer = value;
      dialog.close();
    };
    dialog.append(el("div", { class: "stack" }, heading, build(close, dialog)));
    dialog.addEventListener("close", () => {
      if (kept && answer === undefined && dialog.isConnected) return dialog.showModal();
      dialog.remove();
      return resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    (dialog.querySelector("[data-first]") ?? (kept ? heading : null))?.focus();
  });
}

export function cancelButton(close, text = "Cancel") {
  return el("button", { type: "button", class: "button quiet", onclick: () => close() }, text);
}

// Yes or no; `act` runs on yes, and what goes wrong is said in the dialog. Undefined where it was declined, also by `act`.
export function confirm(title, text, action, act) {
  return ask(title, (close) => [
    el("p", { class: "muted" }, text),
    form({
      fields: [], action, style: "danger", cancel: cancelButton(close),
      submit: async () => {
        if ((await act()) !== undefined) close(true);
      },
    }),
  ]);
}

// Has the owner proved once more that it is them: by a factor, where the account has one, or else by the password.
export async function reauthenticate({ title = "Confirm that it is you", text, action = "Confirm", style } = {}) {
  const methods = await waysToConfirm();
  const byProvider = methods.includes("password") ? await confirming() : [];
  return ask(title, (close) => [
    text && el("p", { class: "muted" }, text),
    proofForm({
      methods, action, style,
      cancel: cancelButton(close),
      begin: () => post("/api/auth/reauthenticate/passkey"),
      prove: async (method, given) => {
        await post("/api/auth/reauthenticate", method === "password" ? given : { method, ...given });
        close(true);
      },
      elsewhere: [...byProvider.map((provider) => [`Confirm with ${provider.label}`, () => goTo(provider, "reauthenticate", location.hash.slice(1))]), ["No password? Sign in anew", anew]],
    }),
  ]);
}

// For whoever has nothing to confirm with: a new sign-in, and then on where they were.
async function anew() {
  const next = location.hash.slice(1);
  document.querySelectorAll("dialog").forEach((dialog) => dialog.close());
  await signOut();
  await go(`/sign-in?next=${encodeURIComponent(next)}`, { notice: "Sign in anew, and go on where you were." });
}

async function waysToConfirm() {
  const { factors, recovery_codes: left } = await get("/api/auth/mfa");
  return factors.length ? [...factors.map(({ name }) => name), ...(left ? ["recovery_code"] : [])] : ["password"];
}

// Runs `act`; where the server wants presence proved first, asks and runs it again. Undefined when that was declined.
export async function withPresence(act) {
  try {
    return (await act()) ?? true;
  } catch (problem) {
    if (problem.code !== "REAUTHENTICATION_REQUIRED") throw problem;
    return (await reauthenticate()) && ((await act()) ?? true);
  }
}
