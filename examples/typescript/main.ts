// Signs in, lists the accounts, and shows what goes wrong as a program sees it.
//
//     EMAIL=... PASSWORD=... npm start
import { Accounts, ProblemError, SessionEnded, unwrap } from "./client.js";

const accounts = new Accounts(process.env["URL"] ?? "http://127.0.0.1:5000");
const { api } = accounts;

try {
  const me = await accounts.signIn(process.env["EMAIL"] ?? "", process.env["PASSWORD"] ?? "");
  console.log(`Signed in as ${me.email} (${me.roles.join(", ")})`);

  const page = unwrap(await api.GET("/api/users", { params: { query: { page: 1, per_page: 100, sort: "email" } } }));
  for (const user of page.users) {
    // Whoever is no administrator sees less of an account, if anything.
    if ("email" in user) console.log(`- ${user.email}, since ${user.created_at.slice(0, 10)}`);
  }

  const { error } = await api.PATCH("/api/auth/me", { body: { username: "a b" } });
  if (error?.code === "VALIDATION_ERROR") {
    for (const { field, message } of error.errors) console.log(`${field}: ${message}`);
  }
  await accounts.signOut();
} catch (error) {
  if (error instanceof SessionEnded) console.error(`Please sign in again: ${error.message}`);
  else if (error instanceof ProblemError) console.error(`${error.problem.code}: ${error.message}`);
  else throw error;
  process.exitCode = 1;
}
