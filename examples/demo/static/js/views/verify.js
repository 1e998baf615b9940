// Proving that an address is one's own: by the code from the mail, or by its link.

import { get, post } from "../api.js";
import { el, link, say } from "../dom.js";
import { field, form } from "../forms.js";
import { go } from "../app.js";
import { codeField, resendButton, whereMailsAre } from "../mails.js";
import { session } from "../session.js";

export function verifyEmail({ token, email = session.user?.email, sent }) {
  return token ? byLink(token) : byCode(email, sent);
}

function byLink(token) {
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Confirm your address"), el("p", { class: "muted" }, "So that nobody else uses it, and you can set a new password if you forget yours.")),
    el("div", { class: "card stack" }, form({
      fields: [], action: "Confirm address", wide: true,
      submit: async () => {
        await post("/api/auth/email/verify", { token });
        await confirmed();
      },
    })),
    el("p", { class: "muted after row" }, "Does the link not work?", link("#/verify-email", "Use the code", { onclick: withoutToken })),
  );
}

// The address bar is the same, so the browser would not go there.
function withoutToken(event) {
  event.preventDefault();
  go("/verify-email", { token: null });
}

function byCode(email, sent) {
  if (session.user?.email_verified && email === session.user.email) {
    return el("div", { class: "narrow empty" }, el("h1", {}, "Your address is confirmed"), link("#/", "To the posts", { class: "button quiet" }));
  }
  const notice = el("p", { class: "notice", role: "alert" });
  const address = field("email", { label: "E-mail address", type: "email", autocomplete: "email", value: email ?? "", "data-focus": !email, required: true });
  const typed = () => email ?? address.querySelector("input").value;
  return el(
    "div", { class: "narrow" },
    el(
      "div", { class: "head" }, el("h1", {}, "Confirm your address"),
      el("p", { class: "muted" }, sent ? "We have sent a code to " : "Type the code from our mail to ", email ? el("strong", {}, email) : "you", "."),
    ),
    el(
      "div", { class: "card stack" },
      form({
        fields: [!email && address, codeField({ "data-focus": Boolean(email) })],
        action: "Confirm address", wide: true,
        submit: async ({ code }) => {
          await post("/api/auth/email/verify", { email: typed(), code });
          await confirmed();
        },
      }),
      whereMailsAre(),
    ),
    el("div", { class: "after stack" }, notice, el("div", { class: "row spread" }, resendButton(typed, { notice }), link("#/", session.user ? "Later" : "To the posts"))),
  );
}

async function confirmed() {
  if (!session.user) return go("/sign-in", { notice: "Your address is confirmed. Please sign in." });
  session.set(await get("/api/auth/me"));
  await go("/");
  say("Your address is confirmed.");
}
