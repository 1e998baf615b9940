// The client for a page of the same site: tokens in cookies that no script can read, and a CSRF token beside them that this one can.
import createClient from "openapi-fetch";

import { type Api, type Credentials, ProblemError, renewing } from "./client.js";
import type { paths } from "./schema.js";

function cookie(name: string): string | undefined {
  return document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
}

const cookies: Credentials = {
  show(request) {
    const csrf = cookie("csrf_access_token");
    if (csrf && request.method !== "GET") request.headers.set("X-CSRF-TOKEN", csrf);
    return csrf;
  },
  async renew() {
    const headers = { "X-CSRF-TOKEN": cookie("csrf_refresh_token") ?? "" };
    const { error } = await createClient<paths>({ baseUrl: location.origin }).POST("/api/auth/refresh", { headers });
    return error && new ProblemError(error);
  },
  forget() {
    // The server has expired the cookies with its answer.
  },
};

/** The API, with the cookies of the page. */
export function browserApi(): Api {
  return createClient<paths>({ baseUrl: location.origin, fetch: renewing(cookies) });
}
