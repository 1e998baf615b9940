// The password.

import { post } from "../api.js";
import { withPresence } from "../dialogs.js";
import { el, link } from "../dom.js";
import { field, form, PASSWORD_HINT } from "../forms.js";
import { panel } from "../panels.js";

const TITLE = "Password";

export function password({ user, keys }, changed) {
  return panel(
    TITLE, ["Changing it signs you out everywhere else", keys.length > 0 && ", and ends your API keys", ". ", link("#/forgot-password", "Forgotten, or none yet?")],
    form({
      fields: [
        el("input", { type: "text", hidden: true, name: "", autocomplete: "username", value: user.email, readonly: true, tabindex: "-1", "aria-hidden": "true" }),
        field("current_password", { label: "Current password", type: "password", autocomplete: "current-password" }),
        field("new_password", { label: "New password", type: "password", autocomplete: "new-password", hint: PASSWORD_HINT }),
      ],
      action: "Change password",
      submit: async ({ current_password, new_password }) => {
        if (await withPresence(() => post("/api/auth/password/change", { current_password, new_password }))) {
          await changed(TITLE, "Your password is changed. Every other session has ended.");
        }
      },
    }),
  );
}
