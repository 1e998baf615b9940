// Passkeys: signing in by the lock of one's device, without a password.

import { patch, post, remove } from "../api.js";
import { ask, cancelButton, confirm, withPresence } from "../dialogs.js";
import { day, el, link, moment } from "../dom.js";
import { doer, field, form } from "../forms.js";
import { emptyPlace, notice, standing } from "../panels.js";
import { make, possible } from "../passkeys.js";
import { showCodes } from "../recovery_codes.js";

const TITLE = "Passkeys";
const PATH = "/api/auth/passkeys";

export function passkeys({ user, passkeys: held }, changed) {
  const said = notice();
  return standing(
    TITLE, held.length ? [held.length === 1 ? "1 passkey" : `${held.length} passkeys`] : ["None", "plain"],
    "Sign in by the lock of your phone or computer: a finger, a face or its PIN. Nothing to remember, and nothing that a false page could talk you out of.",
    said,
    held.length
      ? el("ul", { class: "list actions", "aria-label": TITLE }, held.map((item) => row(item, said, changed)))
      : emptyPlace(user.email_verified ? "With your first one, your password alone no longer signs you in." : ["Please confirm your address first: ", link("#/verify-email", "enter the code"), " from our mail."]),
    held.length === 1 && el("p", { class: "muted small below" }, "Add one on a second device, so that losing the first does not lock you out."),
    user.email_verified && el("div", { class: "below" }, possible
      ? doer("Add a passkey", () => add(changed), { notice: said, style: held.length ? "quiet" : "" })
      : el("p", { class: "muted small" }, "This browser knows no passkeys.")),
  );
}

function row(item, said, changed) {
  return el(
    "li", {},
    el(
      "div", { class: "main" },
      el("p", {}, el("strong", {}, item.name), " ", el("span", { class: `badge ${item.synced ? "" : "plain"}` }, item.synced ? "synced" : "this device only")),
      el("p", { class: "muted small" }, item.authenticator !== item.name && item.authenticator !== "Passkey" && `${item.authenticator} · `, "since ", day(item.created_at), " · ", item.last_used_at ? ["last used ", moment(item.last_used_at)] : "never used", !item.signs_in && " · second step only"),
    ),
    el(
      "div", { class: "row" },
      doer("Rename", () => rename(item, changed), { notice: said, "aria-label": `Rename ${item.name}` }),
      doer("Remove…", () => takeAway(item, changed), { notice: said, "aria-label": `Remove ${item.name}` }),
    ),
  );
}

async function add(changed) {
  const begun = await withPresence(() => post(`${PATH}/options`));
  if (!begun) return;
  const credential = await make(begun.options);
  const { recovery_codes: codes } = await post(PATH, { credential });
  if (codes) await showCodes(codes);
  await changed(TITLE, codes ? "Your passkey is made. Every other session has ended." : "Your passkey is made.");
}

async function rename({ id, name }, changed) {
  const done = await ask("Rename the passkey", (close) => form({
    fields: [field("name", { label: "Name", value: name, maxlength: 64, required: true, autocomplete: "off", hint: "Such as the device that it is on.", "data-first": true })],
    action: "Save name", cancel: cancelButton(close),
    submit: async (given) => close(await patch(`${PATH}/${id}`, given)),
  }));
  if (done) await changed(TITLE, "The new name is saved.");
}

async function takeAway({ id, name }, changed) {
  const gone = await confirm(
    `Remove ${name}?`, "It no longer signs you in, and every other session ends. It stays in your device’s own list until you delete it there.",
    "Remove passkey", () => withPresence(() => remove(`${PATH}/${id}`)),
  );
  if (gone) await changed(TITLE, `The passkey ${name} is removed.`);
}
