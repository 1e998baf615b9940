// What the tests make the client go through; prints what it saw as one JSON object.
import { Accounts, ProblemError, unwrap } from "./client.js";

const url = process.env["URL"] ?? "";
const accounts = new Accounts(url);
const { api } = accounts;

const later = (minutes: number) => fetch(`${url}/test/later?minutes=${minutes}`);
const emails = async () => {
  const page = unwrap(await api.GET("/api/users", { params: { query: { sort: "email" } } }));
  return page.users.map((user) => ("email" in user ? user.email : user.id));
};
const failure = async (act: () => Promise<unknown>) => {
  try {
    await act();
  } catch (error) {
    if (error instanceof ProblemError) return { kind: error.name, code: error.problem.code, message: error.message };
    throw error;
  }
  return null;
};

const wrongPassword = await failure(() => accounts.signIn("ada@example.com", "wrong"));
const me = await accounts.signIn("ada@example.com", process.env["PASSWORD"] ?? "");
const listed = await emails();

await later(20);
const together = await Promise.all(Array.from({ length: 8 }, emails));
await later(20);
const renamed = unwrap(await api.PATCH("/api/auth/me", { body: { username: "ada" } })); // a body, sent a second time

await fetch(`${url}/test/end`);
const ended = await failure(emails);
const then = await failure(emails);

await accounts.signIn("ada@example.com", process.env["PASSWORD"] ?? "");
await later(60 * 24 * 40);
// One of the three hears that its token has expired when the others have found the session over already.
const usual = globalThis.fetch;
let others: Promise<unknown[]> = Promise.resolve([]);
globalThis.fetch = async (...request) => {
  globalThis.fetch = usual;
  const answer = await usual(...request);
  await others;
  return answer;
};
const late = failure(emails);
others = Promise.all([failure(emails), failure(emails)]);
const tooOld = [...(await others), await late];

const proxied = await failure(async () => unwrap(await api.GET("/api/auth/me", { baseUrl: `${url}/test/proxy` })));

console.log(JSON.stringify({ wrongPassword, me, listed, together, renamed, ended, then, tooOld, proxied }));
