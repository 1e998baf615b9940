// Identity providers: going to one, and what it is called.

import { get, post } from "./api.js";
import { el } from "./dom.js";
import { doer } from "./forms.js";

let asked;

// Those that this blog is configured with; none where that cannot be told.
export function providers() {
  asked ??= get("/api/auth/oidc").then(({ providers: found }) => found, () => {
    asked = undefined;
    return [];
  });
  return asked;
}

// Leads the browser to the provider, which sends it back to the page "signed-in". `act` is "login", "link" or "reauthenticate"; what for, and
// where somebody was going, is kept in this tab meanwhile.
export async function goTo({ name }, act, next) {
  const { authorization_url: url } = await post(`/api/auth/oidc/${name}/${act}`);
  sessionStorage.setItem("errand", JSON.stringify({ act, next }));
  location.assign(url);
}

export function errand() {
  const kept = sessionStorage.getItem("errand");
  sessionStorage.removeItem("errand");
  return JSON.parse(kept) ?? {};
}

// Of the account's own identities, the providers by which presence can be proved.
export async function confirming() {
  const [found, { identities }] = await Promise.all([providers(), get("/api/auth/identities")]);
  return found.filter(({ name, reauthenticates }) => reauthenticates && identities.some(({ provider }) => provider === name));
}

export function signInButtons(found, { notice, next }) {
  return found.map((provider) => doer(`Continue with ${provider.label}`, () => goTo(provider, "login", next), { notice, style: "quiet wide" }));
}

export function labelOf(name, found) {
  return found.find((provider) => provider.name === name)?.label ?? name;
}

export function divider(text) {
  return el("p", { class: "divider" }, el("span", {}, text));
}
