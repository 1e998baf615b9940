// An invitation, opened by its link: the address is known already.

import { post, signOut } from "../api.js";
import { el, link, nameOf } from "../dom.js";
import { doer, form } from "../forms.js";
import { again } from "../app.js";
import { noToken } from "../mails.js";
import { session } from "../session.js";
import { enter, newcomer } from "./sign_in.js";

export async function acceptInvitation({ token }) {
  if (!token) return noToken("You are invited");
  let invited;
  try {
    invited = await post("/api/auth/invitations/look", { token });
  } catch (problem) {
    if (problem.code !== "ONE_TIME_TOKEN_INVALID") throw problem;
    return over();
  }
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "You are invited"), el("p", { class: "muted" }, "Your account will have the address ", el("strong", {}, invited.email), ".")),
    el("div", { class: "card stack" }, session.user ? somebodyElse() : accept(token)),
    el("p", { class: "muted after row" }, "You do not want it? Then you need not do anything."),
  );
}

function accept(token) {
  return form({
    fields: newcomer({ "data-focus": true }),
    action: "Join", wide: true,
    submit: (given) => enter(() => post("/api/auth/invitations/accept", { token, ...given }), { welcome: (user) => `Welcome, ${nameOf(user)}.` }),
  });
}

function somebodyElse() {
  const notice = el("p", { class: "notice", role: "alert" });
  return [
    el("p", {}, "You are signed in as ", el("strong", {}, nameOf(session.user)), " here. Sign out to accept the invitation."),
    notice,
    doer("Sign out", async () => { await signOut(); await again(); }, { notice, style: "wide" }),
  ];
}

function over() {
  return el(
    "div", { class: "narrow" },
    el("div", { class: "head" }, el("h1", {}, "This invitation is over")),
    el("div", { class: "card stack" }, el("p", {}, "It was accepted or taken back, or its time is up. Ask whoever sent it for a new one."), session.user ? link("#/", "To the posts") : link("#/sign-in", "Sign in")),
  );
}
