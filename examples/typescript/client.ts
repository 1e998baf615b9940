// A client of the API, typed by its OpenAPI document: `npm run types` writes schema.d.ts.
//
// An access token that has expired is renewed behind the caller's back, once for however many calls found out at the same time.
import createClient from "openapi-fetch";

import type { components, paths } from "./schema.js";

export type User = components["schemas"]["UserSchema"];
export type Tokens = components["schemas"]["TokenResponse"];
export type Problem = components["schemas"]["ProblemSchema"];
export type Api = ReturnType<typeof createClient<paths>>;

/** An answer that is an error: `problem.code` tells a program which, `message` a person. */
export class ProblemError<P extends Problem = Problem> extends Error {
  constructor(readonly problem: P) {
    super(problem.detail);
    this.name = new.target.name;
  }
}

/** Nobody is signed in any more: the session has ended, on the server or by its age. Time for the sign-in page. */
export class SessionEnded extends ProblemError {}

/** What an answer holds; throws a `ProblemError` if it is an error. */
export function unwrap<T, P>(answer: { data?: T; error?: P; response: Response }): T {
  if (answer.response.ok) return answer.data as T;
  throw problemOf(answer.error, answer.response);
}

/** The error of an answer, also if a proxy on the way made it and it is no problem document. */
function problemOf(said: unknown, response: Response): ProblemError {
  if (typeof said === "object" && said !== null && "code" in said) return new ProblemError(said as Problem);
  const title = response.statusText || `The server answered with status ${response.status}.`;
  return new ProblemError({ type: "about:blank", title, detail: title, error: title, status: response.status, code: "NO_PROBLEM" });
}

/** How requests show who is calling, and how that is renewed. */
export interface Credentials {
  /** Puts what it has on the request, and says which that was; undefined if there is nothing. */
  show(request: Request): string | undefined;
  /** Gets new ones; undefined if that worked. */
  renew(): Promise<ProblemError | undefined>;
  /** They are good for nothing any more. */
  forget(): void;
}

/** A `fetch` that shows credentials, renews them when they have expired, and then asks once more. */
export function renewing(credentials: Credentials): (request: Request) => Promise<Response> {
  let renewal: Promise<ProblemError | undefined> | undefined;

  return async (request) => {
    const again = request.clone(); // a body can be read only once
    const shown = credentials.show(request);
    const response = await fetch(request);
    if (response.status !== 401 || shown === undefined) return response;
    const { problem } = problemOf(await response.clone().json().catch(() => undefined), response);
    if (problem.code === "TOKEN_REVOKED") {
      credentials.forget();
      throw new SessionEnded(problem);
    }
    if (problem.code !== "TOKEN_EXPIRED") return response;
    // Whoever comes first renews, the others wait for it; who comes after that has newer ones to show already, or none any more.
    const latest = credentials.show(again);
    if (latest === undefined) throw new SessionEnded(problem);
    if (latest === shown) {
      renewal ??= credentials.renew().finally(() => (renewal = undefined));
      const refused = await renewal;
      if (refused?.problem.status === 401) {
        credentials.forget();
        throw new SessionEnded(refused.problem);
      }
      if (refused) throw refused;
      credentials.show(again);
    }
    return fetch(again);
  };
}

/** The API for programs and apps: tokens in memory, and nowhere else. */
export class Accounts implements Credentials {
  readonly api: Api;
  readonly #anonymous: Api;
  #tokens: Tokens | undefined;

  constructor(baseUrl: string) {
    this.#anonymous = createClient<paths>({ baseUrl });
    this.api = createClient<paths>({ baseUrl, fetch: renewing(this) });
  }

  /** Signs in; a `ProblemError` says why not, or what more is asked for. */
  async signIn(email: string, password: string): Promise<User> {
    this.#tokens = unwrap(await this.#anonymous.POST("/api/auth/login", { body: { email, password } }));
    return this.#tokens.user;
  }

  /** Ends the session: both of its tokens are dead at once. */
  async signOut(): Promise<void> {
    unwrap(await this.api.POST("/api/auth/logout"));
    this.forget();
  }

  show(request: Request): string | undefined {
    if (this.#tokens) request.headers.set("Authorization", `Bearer ${this.#tokens.access_token}`);
    return this.#tokens?.access_token;
  }

  async renew(): Promise<ProblemError | undefined> {
    const answer = await this.#anonymous.POST("/api/auth/refresh", { body: { refresh_token: this.#tokens?.refresh_token ?? null } });
    if (!answer.data) return problemOf(answer.error, answer.response);
    this.#tokens = answer.data;
    return undefined;
  }

  forget(): void {
    this.#tokens = undefined;
  }
}
