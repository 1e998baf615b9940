// Must type-check, and would not if one of the mistakes below were none: each `@ts-expect-error` needs an error on the next line.
import { Accounts, unwrap } from "./client.js";
import type { components } from "./schema.js";

export async function mistakes(): Promise<void> {
  const { api } = new Accounts("");

  // @ts-expect-error: there is no such path
  await api.GET("/api/auth/mee");
  // @ts-expect-error: the password is missing
  await api.POST("/api/auth/login", { body: { email: "ann@example.com" } });
  // @ts-expect-error: the name is wrong
  await api.POST("/api/auth/login", { body: { email: "ann@example.com", passwort: "a" } });
  // @ts-expect-error: nobody registers as an administrator; openapi-fetch alone would not notice
  const body = { email: "ann@example.com", password: "a", is_admin: true } satisfies components["schemas"]["RegisterSchema"];
  await api.POST("/api/auth/register", { body });
  // @ts-expect-error: a name by which nothing is sorted
  await api.GET("/api/users", { params: { query: { sort: "age" } } });
  // @ts-expect-error: the key is a number
  await api.GET("/api/users/{user_id}", { params: { path: { user_id: "1" } } });

  const me = unwrap(await api.GET("/api/auth/me"));
  // @ts-expect-error: an account shows no hash
  void me.password_hash;
  // @ts-expect-error: an account may be without a username
  void me.username.length;
}

export async function rightUses(): Promise<string | number> {
  const { api } = new Accounts("");
  const { data, error } = await api.POST("/api/auth/login", { body: { email: "ann@example.com", password: "a" } });
  if (data) return data.access_token;

  switch (error.code) {
    case "VALIDATION_ERROR":
      return error.errors.map((problem) => problem.field).join();
    case "CHALLENGE_REQUIRED":
    case "PASSWORD_CHANGE_REQUIRED":
      return error.challenge_token;
    case "ACCOUNT_DISABLED":
      return error.until ?? error.status satisfies 403;
    case "INVALID_CREDENTIALS":
      // @ts-expect-error: only an unfinished sign-in has one
      return error.challenge_token;
    // @ts-expect-error: no error of this route
    case "EMAIL_TAKEN":
      return "";
    default:
      return error.detail;
  }
}
