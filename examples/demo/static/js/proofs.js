// Ways to show that it is really the owner. A sign-in that waits asks for one, and so does what wants presence proved.

import { el, fill } from "./dom.js";
import { doer, field, form } from "./forms.js";
import { possible, use } from "./passkeys.js";
import { session } from "./session.js";

const SIX_DIGITS = { label: "Code", inputmode: "numeric", autocomplete: "one-time-code", maxlength: 8, required: true, "data-first": true };

// Name, what is asked for, how another way leads here.
const WAYS = {
  passkey: {
    instead: "Use your passkey",
    ask: () => el("p", {}, "Use your passkey: your device asks for your finger, your face or its PIN."),
  },
  totp: {
    instead: "Use your authenticator app",
    ask: () => [
      el("p", {}, "Open your authenticator app and type the six digits that it shows for ", el("strong", {}, "Commonplace"), "."),
      field("code", SIX_DIGITS),
    ],
  },
  recovery_code: {
    instead: "Use a recovery code",
    ask: () => [
      el("p", {}, "Type one of the codes that you kept for the day your device is not at hand. Each works once."),
      field("code", { label: "Recovery code", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: 40, required: true, "data-first": true }),
    ],
  },
  password: {
    instead: "Use your password",
    ask: () => [
      session.user && el("input", { type: "text", hidden: true, autocomplete: "username", value: session.user.email, readonly: true, tabindex: "-1", "aria-hidden": "true" }),
      el("p", {}, "Before this goes on, please give your password once more."),
      field("password", { label: "Password", type: "password", autocomplete: "current-password", required: true, "data-first": true }),
    ],
  },
};

// A form for the first of `methods`, with the others one click away. `prove(method, given)` sends it; `begin` gets the options for a passkey; `extra` are fields that every way has;
// `elsewhere` (words and what they do) is for whoever has no password.
export function proofForm({ methods, prove, begin, action, style, wide, cancel, extra, elsewhere = [] }) {
  const place = el("div", { class: "stack" });

  function draw(known, method, focus) {
    const notice = el("p", { class: "notice", role: "alert" });
    const others = known.filter((each) => each !== method);
    const more = method === "password" ? elsewhere : [];
    fill(
      place,
      form({
        fields: [WAYS[method].ask(), extra?.()], action, style, wide, cancel,
        submit: (given) => sent(method, given),
      }),
      notice,
      (others.length > 0 || more.length > 0) && el(
        "p", { class: "row other-ways" },
        others.map((each) => el("button", { type: "button", class: "link", onclick: () => draw(known, each, true) }, WAYS[each].instead)),
        more.map(([words, act]) => doer(words, act, { notice, style: "plain" })),
      ),
    );
    // Where nothing is to be typed, the button is what comes first.
    if (!place.querySelector("[data-first]")) place.querySelector("[type=submit]").setAttribute("data-first", "");
    if (focus) place.querySelector("[data-first]").focus();
  }

  async function sent(method, given) {
    try {
      if (method === "passkey") given.credential = await use((await begin()).options);
      await prove(method, given);
    } catch (problem) {
      // A factor has come meanwhile: the password alone will not do any more.
      if (problem.methods) return start(problem.methods, true);
      if (problem.code === "INVALID_CREDENTIALS" && "code" in given) problem.errors = [{ field: "code", message: "This code is wrong, or was used before." }];
      if (problem.code === "INVALID_CREDENTIALS" && given.credential) problem.message = "This passkey is none of your account here.";
      throw problem;
    }
    return undefined;
  }

  function start(asked, focus) {
    // In the order above: the easiest first.
    const known = Object.keys(WAYS).filter((each) => asked.includes(each) && (each !== "passkey" || possible));
    if (known.length) draw(known, known[0], focus);
    else fill(place, el("p", { class: "notice", role: "alert" }, "This page does not know how to ask for what the server wants. Please try another browser."), cancel);
  }

  start(methods, false);
  return place;
}
