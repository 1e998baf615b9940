// The way to the server. Tokens are httpOnly cookies that no script can read; what a script adds is the
// CSRF token of the readable companion cookie. An expired access token is renewed once, however many calls meet it.

import { date, span } from "./dom.js";
import { session } from "./session.js";

export class Problem extends Error {
  // `wait` is in seconds, where the server says when to come back.
  constructor(status, body, wait) {
    super(words(status, body, wait));
    this.status = status;
    this.code = body.code ?? null;
    this.errors = body.errors ?? [];
    // A sign-in that waits, or ways of which one would prove presence.
    this.challenge = body.challenge_token && { token: body.challenge_token, methods: body.challenges };
    this.methods = body.methods ?? null;
    this.recovery_codes = body.recovery_codes ?? null;
  }
}

function words(status, body, wait) {
  if (status === 429 && wait) return `Too many attempts. Please try again in ${span(wait)}.`;
  const text = body.detail || body.error || "Something went wrong. Please try again.";
  return body.until ? `${text} You may sign in again from ${date(body.until)} on.` : text;
}

const RENEWABLE = new Set(["TOKEN_EXPIRED", "TOKEN_MISSING"]);
const OVER = new Set(["TOKEN_REVOKED", "INVALID_TOKEN", "WRONG_TOKEN_TYPE", "TOKEN_MISSING", "TOKEN_EXPIRED"]);
let renewal = null;
let renewals = 0;

export const get = (path) => call("GET", path);
export const post = (path, body) => call("POST", path, body);
export const put = (path, body) => call("PUT", path, body);
export const patch = (path, body) => call("PATCH", path, body);
export const remove = (path) => call("DELETE", path);

export async function download(path, filename) {
  const response = await answered("GET", path);
  const url = URL.createObjectURL(await response.blob());
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = filename;
  anchor.click();
  URL.revokeObjectURL(url);
}

// Whether a session may be there: its tokens cannot be seen, their companion can.
export function mayBeSignedIn() {
  return Boolean(cookie("csrf_refresh_token"));
}

export async function signOut() {
  // Either token will do; each wants its own CSRF token.
  const ended = await send("POST", "/api/auth/logout", undefined, "access").then((response) => response.ok, () => false);
  if (!ended) await send("POST", "/api/auth/logout", undefined, "refresh").catch(() => undefined);
  forget();
}

function forget() {
  for (const name of ["csrf_access_token", "csrf_refresh_token"]) document.cookie = `${name}=; Max-Age=0; Path=/`;
  session.set(null);
}

async function call(method, path, body) {
  const response = await answered(method, path, body);
  return response.status === 204 ? null : response.json();
}

async function answered(method, path, body) {
  const before = renewals;
  let response = await send(method, path, body, "access");
  if (response.ok) return response;
  let problem = await problemOf(response);
  // A refusal that comes in when another call has renewed the tokens already is of the old ones.
  if (response.status === 401 && mayBeSignedIn() && RENEWABLE.has(problem.code) && (renewals > before || (await renewed()))) {
    response = await send(method, path, body, "access");
    if (response.ok) return response;
    problem = await problemOf(response);
  }
  if (response.status === 401 && session.user && OVER.has(problem.code)) {
    // Ended elsewhere, or by an administrator. Signing out also clears the cookies that are out of reach here.
    await signOut();
    session.lost();
  }
  throw problem;
}

function renewed() {
  renewal ??= send("POST", "/api/auth/refresh", undefined, "refresh")
    .then((response) => {
      renewals += response.ok;
      return response.ok;
    })
    .finally(() => { renewal = null; });
  return renewal;
}

async function send(method, path, body, kind) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF-TOKEN"] = cookie(`csrf_${kind}_token`) ?? "";
  if (body !== undefined) headers["Content-Type"] = "application/json";
  // Who is not signed in reads without cookies, so that a leftover of an old session is in nobody's way.
  const credentials = method === "GET" && !mayBeSignedIn() ? "omit" : "same-origin";
  try {
    return await fetch(path, {
      method, headers, credentials, cache: "no-store", body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem(0, { error: "The server cannot be reached. Please try again." });
  }
}

async function problemOf(response) {
  return new Problem(response.status, await response.json().catch(() => ({})), Number(response.headers.get("Retry-After")));
}

function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found?.slice(name.length + 1) || null;
}
