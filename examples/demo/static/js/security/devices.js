// Devices that are not asked for the second step each time.

import { remove } from "../api.js";
import { day, el, moment } from "../dom.js";
import { doer } from "../forms.js";
import { emptyPlace, notice, panel } from "../panels.js";

const TITLE = "Remembered devices";
const PATH = "/api/auth/mfa/devices";

export function devices({ mfa, remembered }, changed) {
  if (!mfa.enabled || !mfa.remember_devices_for) return null;
  const said = notice();
  const days = Math.round(mfa.remember_devices_for / 86400);
  const forget = (path, words) => async () => {
    await remove(path);
    await changed(TITLE, words);
  };
  return panel(
    TITLE, `They are asked for the second step once in ${days} days. A new password or another app forgets them all.`,
    said,
    remembered.length
      ? [
        el("ul", { class: "list sessions", "aria-label": TITLE }, remembered.map((item) => el(
          "li", {},
          el("div", { class: "main" },
            el("p", {}, el("strong", {}, item.device)),
            el("p", { class: "muted small" }, "last used ", moment(item.last_used_at), " · until ", day(item.expires_at))),
          doer("Forget", forget(`${PATH}/${item.id}`, "That device is asked again."), { notice: said, "aria-label": `Forget ${item.device}` }),
        ))),
        remembered.length > 1 && el("div", { class: "below" }, doer("Forget all", forget(PATH, "Every device is asked again."), { notice: said, style: "quiet" })),
      ]
      : emptyPlace("None. When you sign in with a code, you can tick “Do not ask again on this device”."),
  );
}
