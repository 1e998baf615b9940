// Passkeys: asking the browser for one. It reads and writes the server's JSON itself.

import { post } from "./api.js";

export const possible = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON && navigator.credentials);

export class Declined extends Error {
  constructor() {
    super("No passkey was used. Try again, or choose another way.");
  }
}

// What people do at the browser's own dialog is no error of ours: they cancel it, wait too long, or have the passkey already.
async function asked(run) {
  try {
    const credential = await run();
    return credential.toJSON();
  } catch (error) {
    if (error.name === "InvalidStateError") throw new Error("This device has a passkey for your account already.");
    if (error.name === "NotAllowedError" || error.name === "AbortError") throw new Declined();
    if (error.name === "SecurityError") throw new Error("Passkeys work only at the address that this blog was set up for.");
    throw error;
  }
}

export function make(options) {
  stopWaiting();
  return asked(() => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }));
}

export function use(options, more = {}) {
  if (!more.signal) stopWaiting();
  return asked(() => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options), ...more }));
}

// For a sign-in by a button.
export async function signInWithPasskey() {
  const { options } = await post("/api/auth/passkeys/login/options");
  const credential = await use(options);
  return () => post("/api/auth/passkeys/login", { credential });
}

// Offers passkeys among what the browser fills into the field of the sign-in, for as long as its page is shown. The options are good
// for a while only, so they are asked for anew before that is over. One at a time: whatever else asks for a passkey ends it.
let waiting = null;

export async function offerAutofill(field, signIn) {
  stopWaiting();
  if (!field || !possible || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  const mine = new AbortController();
  waiting = mine;
  try {
    while (!mine.signal.aborted && field.isConnected) {
      const { options, expires_in: seconds } = await post("/api/auth/passkeys/login/options");
      if (mine.signal.aborted || !field.isConnected) return;
      const round = new AbortController();
      mine.signal.addEventListener("abort", () => round.abort(), { once: true });
      const over = setTimeout(() => round.abort(), seconds * 900);
      const credential = await use(options, { mediation: "conditional", signal: round.signal }).catch((problem) => {
        if (problem instanceof Declined && round.signal.aborted) return null;
        throw problem;
      });
      clearTimeout(over);
      if (credential) return await signIn(() => post("/api/auth/passkeys/login", { credential }));
    }
  } catch {
    // Autofill is an offer. The button beside it says what goes wrong.
  }
  return undefined;
}

export function stopWaiting() {
  waiting?.abort();
  waiting = null;
}
