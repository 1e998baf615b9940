// The same service in Node.js, with jose: https://github.com/panva/jose
//
//   npm install
//   export ISSUER=https://accounts.example AUDIENCE=https://orders.example
//   export JWKS_URL=https://accounts.example/api/auth/jwks.json
//   export INTROSPECT_URL=https://accounts.example/api/auth/introspect CLIENT_ID=orders CLIENT_SECRET=...
//   PORT=5001 node service.mjs

import { createServer } from "node:http";
import { createRemoteJWKSet, jwtVerify } from "jose";

const { ISSUER, AUDIENCE, JWKS_URL, INTROSPECT_URL, CLIENT_ID, CLIENT_SECRET, PORT = "5001", KEYS_COOLDOWN = "30000" } = process.env;

class Refused extends Error {}

// Kept for five minutes; asked for again when a token names an unknown key, but not more often than the cooldown allows.
const keys = createRemoteJWKSet(new URL(JWKS_URL), {
  cacheMaxAge: 300_000,
  cooldownDuration: Number(KEYS_COOLDOWN),
  timeoutDuration: 5_000,
});

async function verified(token) {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer: ISSUER,
      audience: AUDIENCE,
      // The type keeps refresh tokens out (RFC 9068 section 4). Never an HS algorithm beside these.
      typ: "at+jwt",
      algorithms: ["EdDSA", "ES256", "RS256"],
      requiredClaims: ["sub", "client_id", "iat", "exp", "jti"],
      clockTolerance: 10,
    });
    return payload;
  } catch {
    throw new Refused();
  }
}

async function introspected(token) {
  const answer = await fetch(INTROSPECT_URL, {
    method: "POST",
    headers: { Authorization: `Basic ${Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString("base64")}` },
    body: new URLSearchParams({ token }),
    signal: AbortSignal.timeout(5_000),
  }).catch(() => undefined);
  // What cannot be asked is not allowed.
  const found = answer?.ok ? await answer.json() : {};
  if (found.active !== true) throw new Refused();
  return found;
}

const routes = {
  "GET /orders": async (token) => ({ orders_of: (await verified(token)).sub }),
  "POST /orders/refund": async (token) => {
    const { sub, roles } = await introspected(token);
    return { refunded_by: sub, roles };
  },
};

const server = createServer(async (request, response) => {
  const reply = (status, body, headers = {}) => {
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
  try {
    const route = routes[`${request.method} ${new URL(request.url, "http://service").pathname}`];
    if (!route) return reply(404, { error: "not_found" });
    const [scheme, token] = (request.headers.authorization ?? "").split(" ");
    if (scheme.toLowerCase() !== "bearer" || !token || token.length > 8192) throw new Refused();
    reply(200, await route(token));
  } catch (error) {
    if (!(error instanceof Refused)) return reply(500, { error: "server_error" });
    reply(401, { error: "invalid_token" }, { "WWW-Authenticate": 'Bearer error="invalid_token"' });
  }
});

server.listen(Number(PORT), "127.0.0.1", () => console.log(`Listening on ${server.address().port}`));
