// Authorization tokens (§9): compact JWS with EdDSA, and nothing else.

import { base64UrlFromBytes, bytesFromBase64Url } from "./base64.mjs";
import { canonicalText, utf8 } from "./canonical.mjs";
import { loadPublicKey, signEd25519, verifyEd25519 } from "./ed25519.mjs";
import { Refusal } from "./errors.mjs";
import { JsonNumber, hasLoneSurrogate, readJson } from "./json.mjs";
import { isHash } from "./receipts.mjs";
import { sha256Hex } from "./sha256.mjs";

const MAX_TOKEN_CHARACTERS = 8192;
const MAX_LIFETIME_SECONDS = 300;
const MAX_LEEWAY_SECONDS = 60; // §9.1-5
const TOKEN_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const isFilledText = (value) => typeof value === "string" && value !== "" && !hasLoneSurrogate(value);
const isWholeNumber = (value) => value instanceof JsonNumber && /^(?:0|[1-9][0-9]{0,15})$/.test(value.text);
const CLAIM_FORMS = {
  iss: isFilledText, aud: isFilledText, iat: isWholeNumber, exp: isWholeNumber, jti: isFilledText,
  cns: isFilledText, fpr: isHash, iht: isHash,
}; // prettier-ignore
const OPTIONAL_CLAIM_FORMS = {
  apr: isFilledText,
  sub: isFilledText,
  pol: (value) => value instanceof Map && value.size === 2
    && isWholeNumber(value.get("version")) && value.get("version").text !== "0"
    && (value.get("rule") === null || typeof value.get("rule") === "string"),
};

function checkClaims(claims) {
  for (const [name, isRight] of Object.entries(CLAIM_FORMS)) {
    if (!claims.has(name)) throw new Refusal("claims", `the claim ${name} is missing`);
    if (!isRight(claims.get(name))) throw new Refusal("claims", `the claim ${name} is not of the form of §9`);
  }
  for (const [name, isRight] of Object.entries(OPTIONAL_CLAIM_FORMS)) {
    if (claims.has(name) && !isRight(claims.get(name))) {
      throw new Refusal("claims", `the claim ${name} is not of the form of §9`);
    }
  }
  if (claims.has("nbf") && !isWholeNumber(claims.get("nbf"))) throw new Refusal("claims", "the claim nbf is no integer");
  const lifetime = Number(claims.get("exp").text) - Number(claims.get("iat").text);
  if (lifetime < 1 || lifetime > MAX_LIFETIME_SECONDS) {
    throw new Refusal("lifetime", `exp is not 1 to ${MAX_LIFETIME_SECONDS} seconds after iat`);
  }
}

/**
 * Mints a token.
 * @param {Map<string, import("./json.mjs").JsonValue>} claims
 * @param {string} seedHex
 * @param {string} kid the key id of that seed's key
 * @returns {Promise<string>}
 */
export async function mintToken(claims, seedHex, kid) {
  if (!(claims instanceof Map)) throw new Refusal("claims", "is no object");
  const unknown = [...claims.keys()].filter((name) => !(name in CLAIM_FORMS) && !(name in OPTIONAL_CLAIM_FORMS));
  if (unknown.length > 0) throw new Refusal("claims", `has claims that §9 does not know: ${unknown.join(", ")}`);
  checkClaims(claims);
  const header = `{"alg":"EdDSA","kid":${JSON.stringify(kid)},"typ":"JWT"}`;
  const signed = [header, canonicalText(claims)].map((text) => base64UrlFromBytes(utf8(text))).join(".");
  const { signature, publicKey } = await signEd25519(seedHex, utf8(signed));
  if (sha256Hex(publicKey).slice(0, 16) !== kid) throw new Refusal("kid", "kid is not the key id of this seed's key");
  const token = `${signed}.${base64UrlFromBytes(signature)}`;
  if (token.length > MAX_TOKEN_CHARACTERS) throw new Refusal("too_large", "the token would be over 8 KiB");
  return token;
}

function readTokenPart(bytes, code) {
  let text;
  try {
    text = TOKEN_UTF8.decode(bytes);
  } catch {
    throw new Refusal(code, "is not UTF-8");
  }
  const found = readJson(text, { code, duplicateCode: "duplicate_member" });
  if (!(found instanceof Map)) throw new Refusal(code, "is no object");
  return found;
}

function readHeader(bytes) {
  const header = readTokenPart(bytes, "header");
  if ([...header.keys()].some((name) => !["alg", "kid", "typ"].includes(name)) || header.get("typ") !== "JWT") {
    throw new Refusal("header", "the header has other members than alg, kid and typ, or typ is not JWT");
  }
  if (header.get("alg") !== "EdDSA") throw new Refusal("alg", "the algorithm is not EdDSA");
  return header;
}

/**
 * What a broker checks (§9.1), in the order 1, 2, 5, 3, 4.
 * @param {unknown} token
 * @param {{keys: Record<string, string>, audience: string, leeway: number, issuer?: string, nowSeconds: number,
 *   fingerprint?: string, seenJti: string[], consumedCns: string[]}} own what the broker itself knows
 * @returns {Promise<Map<string, import("./json.mjs").JsonValue>>} the claims of §9 that are there
 */
export async function verifyToken(token, own) {
  if (!Number.isInteger(own.leeway) || own.leeway < 0 || own.leeway > MAX_LEEWAY_SECONDS) {
    throw new Refusal("settings", `a leeway is 0 to ${MAX_LEEWAY_SECONDS} whole seconds`);
  }
  if (typeof token !== "string") throw new Refusal("malformed", "the token is no string");
  if (token.length > MAX_TOKEN_CHARACTERS) throw new Refusal("too_large", "the token is over 8 KiB");
  const texts = token.split(".");
  const parts = texts.map(bytesFromBase64Url);
  if (parts.length !== 3 || parts.includes(null) || texts.includes("")) {
    throw new Refusal("malformed", "the token is not three parts of canonical base64url");
  }
  const kid = readHeader(parts[0]).get("kid");
  if (typeof kid !== "string" || !Object.hasOwn(own.keys, kid)) {
    throw new Refusal("kid", "kid names none of the broker's own keys");
  }
  const key = await loadOwnKey(own.keys[kid]);
  if (!(await verifyEd25519(key, utf8(`${texts[0]}.${texts[1]}`), parts[2]))) {
    throw new Refusal("signature", "the signature is not that key's");
  }
  const claims = readTokenPart(parts[1], "claims");
  checkClaimValues(claims);
  checkClaims(claims);
  checkCircumstances(claims, own);
  return new Map([...claims].filter(([name]) => name in CLAIM_FORMS || name in OPTIONAL_CLAIM_FORMS));
}

async function loadOwnKey(hex) {
  try {
    return await loadPublicKey(hex);
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal("kid", error.message); // a key that is none is in no table
    throw error;
  }
}

function checkClaimValues(claims) {
  try {
    canonicalText(claims); // §9.1-13: what nobody knows is ignored, but within §3
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal("claims", error.message);
    throw error;
  }
}

function checkCircumstances(claims, own) {
  const seconds = (name) => Number(claims.get(name).text);
  const { nowSeconds: now, leeway } = own;
  if (now >= seconds("exp") + leeway) throw new Refusal("expired", `the token expired at ${seconds("exp")}`);
  if (seconds("iat") > now + leeway || (claims.has("nbf") && seconds("nbf") > now + leeway)) {
    throw new Refusal("not_yet_valid", "iat or nbf lies ahead");
  }
  if (claims.get("aud") !== own.audience) throw new Refusal("audience", "the token is meant for another broker");
  if (own.issuer !== undefined && own.issuer !== null && claims.get("iss") !== own.issuer) {
    throw new Refusal("issuer", "the token is from another authorizer");
  }
  if (own.fingerprint !== undefined && claims.get("fpr") !== own.fingerprint) {
    throw new Refusal("binding", "the token is for another action");
  }
  if (own.seenJti.includes(claims.get("jti"))) throw new Refusal("already_consumed", "this token was used before");
  if (own.consumedCns.includes(claims.get("cns"))) throw new Refusal("already_consumed", "this release was used before");
}
