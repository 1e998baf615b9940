// Identities at providers, by which one signs in as well.

import { remove } from "../api.js";
import { confirm, withPresence } from "../dialogs.js";
import { day, el, moment } from "../dom.js";
import { doer } from "../forms.js";
import { goTo, labelOf } from "../identities.js";
import { emptyPlace, notice, panel } from "../panels.js";

const TITLE = "Linked identities";

export function identities({ found, linked }, changed) {
  if (!found.length && !linked.length) return null;
  const said = notice();
  return panel(
    TITLE, "You sign in with them as well. They may have another address than your account here.",
    said,
    linked.length
      ? el("ul", { class: "list sessions", "aria-label": TITLE }, linked.map((item) => el(
        "li", {},
        el(
          "div", { class: "main" },
          el("p", {}, el("strong", {}, labelOf(item.provider, found)), item.email && ` ${item.email}`),
          el("p", { class: "muted small" }, "linked on ", day(item.created_at), " · last used ", moment(item.last_used_at)),
        ),
        doer("Unlink…", () => unlink(item, labelOf(item.provider, found), changed), { notice: said, "aria-label": `Unlink ${item.email ?? labelOf(item.provider, found)}` }),
      )))
      : emptyPlace("None yet."),
    el("div", { class: "below row" }, found.map((provider) => doer(
      linked.some(({ provider: name }) => name === provider.name) ? `Link another with ${provider.label}` : `Link ${provider.label}`,
      () => withPresence(() => goTo(provider, "link")), { notice: said, style: "quiet" },
    ))),
  );
}

async function unlink({ id }, label, changed) {
  const gone = await confirm(`Unlink ${label}?`, "You no longer sign in with it. Your account and what you wrote stay as they are.", "Unlink", () => withPresence(() => remove(`/api/auth/identities/${id}`)));
  if (gone) await changed(TITLE, `${label} is unlinked.`);
}
