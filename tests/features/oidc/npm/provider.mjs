// A provider of the certified package oidc-provider, on the loopback: node npm_provider.mjs <port> <client id> <secret> <redirect uri>
// Its key is made anew at each start. The pages of its development mode ask who it is; the tests answer them.
import { generateKeyPairSync } from "node:crypto";

import Provider from "oidc-provider";

const [port, client_id, client_secret, redirect_uri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });

const provider = new Provider(issuer, {
  clients: [
    {
      client_id, client_secret, redirect_uris: [redirect_uri], id_token_signed_response_alg: "ES256",
      grant_types: ["authorization_code", "refresh_token"],
    },
  ],
  rotateRefreshToken: true,
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  jwks: { keys: [{ ...key, alg: "ES256", use: "sig" }] },
  cookies: { keys: ["only for tests"] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: id, email_verified: true }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
