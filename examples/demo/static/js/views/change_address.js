// Another address for an account: proving the new one, by code or by link, and undoing the change from the old one.

import { get, post, signOut } from "../api.js";
import { el, fill, link, say } from "../dom.js";
import { form } from "../forms.js";
import { go } from "../app.js";
import { codeField, noToken, whereMailsAre } from "../mails.js";
import { session } from "../session.js";

export function confirmEmailChange({ token, email }) {
  if (token) return byLink(token);
  // The code is worth nothing without the account that asked.
  return session.user ? byCode(email) : noToken("Confirm your new address");
}

function byLink(token) {
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Confirm your new address"), el("p", { class: "muted" }, "You then sign in with it, and our mails go there.")),
    el("div", { class: "card stack" }, form({
      fields: [], action: "Use this address", wide: true,
      submit: async () => {
        await post("/api/auth/email/change/confirm", { token });
        await changed();
      },
    })),
  );
}

function byCode(email) {
  return el(
    "div", { class: "narrow" },
    el(
      "div", { class: "head" }, el("h1", {}, "Confirm your new address"),
      el("p", { class: "muted" }, email ? ["We have sent a code to ", el("strong", {}, email), "."] : "Type the code that we have sent to it.", " Until then everything stays as it is."),
    ),
    el(
      "div", { class: "card stack" },
      form({
        fields: [codeField({ "data-focus": true })],
        action: "Use this address", wide: true,
        submit: async ({ code }) => {
          await post("/api/auth/email/change/confirm", { code });
          await changed();
        },
      }),
      whereMailsAre(),
    ),
    el("p", { class: "muted after row" }, "No mail, or a typing mistake?", link("#/account", "Back to your account")),
  );
}

async function changed() {
  if (!session.user) return go("/sign-in", { notice: "Your new address counts from now on. Please sign in with it." });
  session.set(await get("/api/auth/me"));
  await go("/account");
  say("Your address is changed.");
}

export function undoEmailChange({ token }) {
  if (!token) return noToken("Take your account back");
  const card = el("div", { class: "card stack" }, form({
    fields: [], action: "Take my account back", wide: true,
    submit: async () => {
      await post("/api/auth/email/change/undo", { token });
      if (session.user) await signOut();
      const heading = el("h2", { tabindex: "-1" }, "It is yours again");
      fill(
        card, heading,
        el("p", {}, "Your account has its old address again, and everybody is signed out. The old password is good for nothing any more: a link to set a new one is on its way to you."),
        whereMailsAre(),
        el("p", { class: "muted small" }, "No mail? ", link("#/forgot-password", "Ask for another link")),
      );
      heading.focus();
    },
  }));
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "Take your account back"), el("p", { class: "muted" }, "Somebody gave it another address? It gets the one back that our mail came to. Everybody is signed out, and you set a new password.")),
    card,
  );
}
