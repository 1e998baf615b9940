// The authenticator app: a second step that a stolen password does not have.

import { post, remove } from "../api.js";
import { ask, cancelButton, confirm, withPresence } from "../dialogs.js";
import { day, el, link } from "../dom.js";
import { enrolmentFields } from "../enrolment.js";
import { doer, form } from "../forms.js";
import { emptyPlace, notice, standing } from "../panels.js";
import { showCodes } from "../recovery_codes.js";

const TITLE = "Authenticator app";
const PATH = "/api/auth/mfa/totp";

export function authenticator({ user, mfa }, changed) {
  const said = notice();
  const held = mfa.factors.find(({ name }) => name === "totp");
  if (held) {
    return standing(
      TITLE, ["On"], ["Signing in asks for a code of your app, since ", day(held.since), "."],
      el(
        "div", { class: "stack" }, said,
        el("div", { class: "row" },
          doer("Move to another app", () => setUp(changed, "Your new app counts from now on. Every other session has ended."), { notice: said, style: "quiet" }),
          doer("Remove…", () => takeAway(mfa, changed), { notice: said, style: "danger" })),
      ),
    );
  }
  return standing(
    TITLE, ["Off", "plain"], "A code that changes every half minute, from an app on your phone or in your password manager. It is asked for after your password.",
    el(
      "div", { class: "stack" }, said,
      user.email_verified
        ? el("div", {}, doer("Set up", () => setUp(changed, "Your authenticator app is set up. Every other session has ended."), { notice: said, style: "" }))
        : emptyPlace("Please confirm your address first: ", link("#/verify-email", "enter the code"), " from our mail."),
    ),
  );
}

async function setUp(changed, words) {
  const shown = await withPresence(() => post(PATH));
  if (!shown) return;
  const confirmed = await ask("Set up your authenticator app", (close) => form({
    fields: enrolmentFields(shown), action: "Confirm", cancel: cancelButton(close),
    submit: async ({ code }) => close(await post(`${PATH}/confirm`, { code })),
  }));
  if (!confirmed) return;
  if (confirmed.recovery_codes) await showCodes(confirmed.recovery_codes);
  await changed(TITLE, words);
}

async function takeAway(mfa, changed) {
  const last = mfa.factors.length === 1;
  const gone = await confirm(
    "Remove your authenticator app?",
    last ? "Signing in then takes your password alone. Your recovery codes and remembered devices go too, and every other session ends." : "Signing in no longer takes its codes. Every other session ends.",
    "Remove app", () => withPresence(() => remove(PATH)),
  );
  if (gone) await changed(TITLE, "Your authenticator app is removed.");
}
