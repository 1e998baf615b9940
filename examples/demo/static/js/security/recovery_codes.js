// Recovery codes: for the day the device is lost.

import { post } from "../api.js";
import { confirm, withPresence } from "../dialogs.js";
import { el } from "../dom.js";
import { doer } from "../forms.js";
import { notice, standing } from "../panels.js";
import { showCodes } from "../recovery_codes.js";

const TITLE = "Recovery codes";
const FEW = 2;

export function recoveryCodes({ mfa: { enabled, recovery_codes: left } }, changed) {
  if (!enabled) return null;
  const said = notice();
  const words = left === 0 ? "None" : left === 1 ? "1 left" : `${left} left`;
  return standing(
    TITLE, [words, left > FEW ? "" : "warm"], "If your device is lost or broken, each of them lets you in once. They were shown when they were made; here you see only how many are left.",
    el("div", { class: "stack" }, said, el("div", {}, doer("Make new codes", () => renew(left, changed), { notice: said, style: left > FEW ? "quiet" : "" }))),
  );
}

async function renew(left, changed) {
  let codes;
  const make = async () => {
    codes = await withPresence(() => post("/api/auth/mfa/recovery-codes"));
    return codes;
  };
  if (left) await confirm("Make new recovery codes?", "The ones that you have kept are void then.", "Make new codes", make);
  else await make();
  if (!codes) return;
  await showCodes(codes.recovery_codes);
  await changed(TITLE, "The new codes count from now on.");
}
