// Where one is signed in.

import { remove } from "../api.js";
import { el, moment } from "../dom.js";
import { doer } from "../forms.js";
import { notice, panel } from "../panels.js";

const TITLE = "Where you are signed in";
const PATH = "/api/auth/sessions";

export function sessions({ open }, changed) {
  const said = notice();
  const ordered = open.toSorted((one, other) => other.current - one.current);
  const end = (path, words) => async () => {
    await remove(path);
    await changed(TITLE, words);
  };
  return panel(
    TITLE, "Do not know one of them? End it, and change your password.",
    said,
    el("ul", { class: "list sessions", "aria-label": "Sessions" }, ordered.map((item) => el(
      "li", {},
      el(
        "div", { class: "main" },
        el("p", {}, el("strong", { title: item.user_agent }, item.device), " ", item.current && el("span", { class: "badge" }, "this one"), item.impersonated && el("span", { class: "badge warm" }, "support, in your place")),
        el("p", { class: "muted small" }, item.ip_address ?? "unknown address", " · since ", moment(item.created_at), " · last used ", moment(item.last_used_at)),
      ),
      !item.current && doer("End", end(`${PATH}/${item.id}`, "The session has ended."), { notice: said, "aria-label": `End the session ${item.device}, ${item.ip_address ?? "unknown address"}` }),
    ))),
    el("div", { class: "below" }, open.length > 1
      ? doer("End all others", end(PATH, "All other sessions have ended."), { notice: said, style: "quiet" })
      : el("p", { class: "muted small" }, "You are signed in nowhere else.")),
  );
}
