// A sign-in that waits: one question after the other, until the server is content.

import { post } from "./api.js";
import { ask, cancelButton } from "./dialogs.js";
import { el } from "./dom.js";
import { enrolmentFields } from "./enrolment.js";
import { doer, field, form, PASSWORD_HINT, tick } from "./forms.js";
import { make, possible } from "./passkeys.js";
import { proofForm } from "./proofs.js";
import { showCodes } from "./recovery_codes.js";
import { session } from "./session.js";

const PATH = "/api/auth/challenge";

// Goes on with the sign-in that `problem` tells of. The server's answer, or undefined when it was given up; what ends it is thrown.
export async function answerAll(problem) {
  const wishes = { remember: false };
  let outcome = problem, codes;
  while (outcome?.challenge) {
    outcome = await stepFor(outcome)(outcome, wishes);
    codes ??= outcome?.recovery_codes;
  }
  if (outcome instanceof Error) throw outcome;
  if (!outcome) return undefined;
  session.set(outcome.user);
  // The session is there: what goes wrong from now on must not undo it.
  if (wishes.remember) await post("/api/auth/mfa/devices").catch(() => undefined);
  if (codes) await showCodes(codes);
  return outcome;
}

function stepFor({ challenge: { methods } }) {
  if (methods.includes("password_change")) return newPassword;
  if (methods.some((each) => each.endsWith("_enrolment"))) return enrolment;
  return secondFactor;
}

// Sends an answer. The next question, and the end of the sign-in, close the dialog; whatever can be mended is said in it.
function answering({ challenge }, close) {
  return async (method, given) => {
    try {
      close(await post(PATH, { challenge_token: challenge.token, method, ...given }));
    } catch (problem) {
      if (!problem.challenge && problem.code !== "CHALLENGE_INVALID") throw problem;
      close(problem);
    }
  };
}

function secondFactor(waiting, wishes) {
  const days = document.body.dataset.rememberDays;
  return ask("One more step", (close) => {
    const send = answering(waiting, close);
    return [
      proofForm({
        methods: waiting.challenge.methods, action: "Sign in", cancel: cancelButton(close),
        extra: () => days && tick("remember", { label: "Do not ask again on this device", hint: `For ${days} days. Not on a device that others use.` }),
        begin: () => post(`${PATH}/passkey`, { challenge_token: waiting.challenge.token }),
        prove: async (method, { remember, ...given }) => {
          wishes.remember = Boolean(remember);
          await send(method, given);
        },
      }),
      el("p", { class: "muted small" }, "Nothing of this at hand any more? An administrator can help, who has to make sure first that it is you."),
    ];
  });
}

// Who must have a second factor and has none sets it up right here.
async function enrolment(waiting) {
  const { token, methods } = waiting.challenge;
  let shown;
  try {
    shown = methods.includes("totp_enrolment") && await post(`${PATH}/totp`, { challenge_token: token });
  } catch (problem) {
    return problem;
  }
  return ask("Set up a second step", (close) => {
    const notice = el("p", { class: "notice", role: "alert" });
    const send = answering(waiting, close);
    return [
      el("p", { class: "muted" }, "Your account needs more than a password."),
      shown && form({
        fields: enrolmentFields(shown), action: "Confirm and sign in", cancel: cancelButton(close),
        submit: ({ code }) => send("totp_enrolment", { code }),
      }),
      notice,
      possible && methods.includes("passkey_enrolment") && el("p", { class: "row other-ways" }, "No such app?", doer("Make a passkey on this device", async () => {
        const { method, options } = await post(`${PATH}/passkey`, { challenge_token: token });
        await send(method, { credential: await make(options) });
      }, { notice, style: "plain" })),
    ];
  });
}

// The password was right, but is not good enough any more.
function newPassword(waiting) {
  return ask("Please choose a new password", (close) => {
    const send = answering(waiting, close);
    return [
      el("p", { class: "muted" }, "Yours was right, but it is not safe any more. ", waiting.errors.map(({ message }) => `${message} `)),
      form({
        fields: [field("new_password", { label: "New password", type: "password", autocomplete: "new-password", required: true, hint: PASSWORD_HINT })],
        action: "Save and sign in", cancel: cancelButton(close),
        submit: ({ new_password }) => send("password_change", { new_password }),
      }),
    ];
  });
}
