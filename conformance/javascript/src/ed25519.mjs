// Ed25519 by the criterion of §8: WebCrypto checks the equation, and what libraries differ on is checked
// here. The public key is looked at once, when it is loaded.

import { Refusal } from "./errors.mjs";
import { sha256Hex } from "./sha256.mjs";

const FIELD_P = 2n ** 255n - 19n;
const GROUP_L = 2n ** 252n + 27742317777372353535851937790883648493n;
const PKCS8_PREFIX = "302e020100300506032b657004220420";

/**
 * @typedef {{hex: string, keyId: string, cryptoKey: CryptoKey}} PublicKey
 */

/**
 * Bytes from lower-case hexadecimal digits, or null (§8-23).
 * @param {unknown} text
 * @returns {Uint8Array | null}
 */
export function bytesFromHex(text) {
  if (typeof text !== "string" || text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) return null;
  const bytes = new Uint8Array(text.length / 2);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return bytes;
}

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function hexFromBytes(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Loads a public key; refuses one that is not canonical or not in the prime-order subgroup (§8-21).
 * @param {unknown} hex
 * @returns {Promise<PublicKey>}
 */
export async function loadPublicKey(hex) {
  const bytes = bytesFromHex(hex);
  if (bytes === null || bytes.length !== 32) {
    throw new Refusal("key", "a public key has 64 lower-case hexadecimal digits");
  }
  if (!isPrimeOrderKey(bytes)) {
    throw new Refusal("key", "the public key is not a canonical point of the prime-order subgroup");
  }
  const cryptoKey = await crypto.subtle.importKey("raw", bytes, { name: "Ed25519" }, false, ["verify"]);
  return { hex, keyId: sha256Hex(bytes).slice(0, 16), cryptoKey };
}

/**
 * Whether a signature holds.
 * @param {PublicKey} key
 * @param {Uint8Array} message
 * @param {Uint8Array} signature
 * @returns {Promise<boolean>}
 */
export async function verifyEd25519(key, message, signature) {
  if (!isStrictSignature(signature)) return false;
  return crypto.subtle.verify({ name: "Ed25519" }, key.cryptoKey, signature, message);
}

/**
 * Signs with the 32 bytes of an RFC 8032 secret key.
 * @param {unknown} seedHex
 * @param {Uint8Array} message
 * @returns {Promise<{signature: Uint8Array, publicKey: Uint8Array}>}
 */
export async function signEd25519(seedHex, message) {
  const seed = bytesFromHex(seedHex);
  if (seed === null || seed.length !== 32) throw new Refusal("key", "a seed has 64 lower-case hexadecimal digits");
  const pkcs8 = bytesFromHex(PKCS8_PREFIX + seedHex);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "Ed25519" }, true, ["sign"]);
  const { x } = await crypto.subtle.exportKey("jwk", key);
  const publicKey = Uint8Array.from(atob(x.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  return { signature: new Uint8Array(await crypto.subtle.sign({ name: "Ed25519" }, key, message)), publicKey };
}

// --- the strict criterion -------------------------------------------------------------------------

const GROUP_L_BYTES = littleEndianBytes(GROUP_L);
const FIELD_P_BYTES = littleEndianBytes(FIELD_P);
const SMALL_ORDER_Y = smallOrderY();

function littleEndianBytes(value) {
  return Uint8Array.from({ length: 32 }, (_, at) => Number((value >> BigInt(8 * at)) & 0xffn));
}

function isBelow(bytes, from, limit, topMask) {
  for (let at = 31; at >= 0; at -= 1) {
    const byte = at === 31 ? bytes[from + at] & topMask : bytes[from + at];
    if (byte !== limit[at]) return byte < limit[at];
  }
  return false;
}

/**
 * What can be said of a signature without its key: 64 bytes, S < L, R canonical and not of small order
 * (§8-20, §8-22).
 * @param {Uint8Array} signature
 * @returns {boolean}
 */
export function isStrictSignature(signature) {
  if (signature.length !== 64) return false;
  if (!isBelow(signature, 32, GROUP_L_BYTES, 0xff) || !isBelow(signature, 0, FIELD_P_BYTES, 0x7f)) return false;
  return !SMALL_ORDER_Y.some((y) => y.every((byte, at) => byte === (at === 31 ? signature[at] & 0x7f : signature[at])));
}

function modP(value) {
  const rest = value % FIELD_P;
  return rest < 0n ? rest + FIELD_P : rest;
}

function powerModP(base, exponent) {
  let result = 1n;
  for (let factor = modP(base), left = exponent; left > 0n; left >>= 1n, factor = modP(factor * factor)) {
    if (left & 1n) result = modP(result * factor);
  }
  return result;
}

function curveD() {
  return modP(-121665n * powerModP(121666n, FIELD_P - 2n));
}

function squareRoot(value) {
  const candidate = powerModP(value, (FIELD_P + 3n) / 8n);
  if (modP(candidate * candidate) === modP(value)) return candidate;
  const other = modP(candidate * powerModP(2n, (FIELD_P - 1n) / 4n));
  return modP(other * other) === modP(value) ? other : null;
}

// The y of the eight points of small order: 1, -1, 0, and those of order eight, for which
// d·y⁴ + 2·y² - 1 = 0 (doubling such a point gives y = 0).
function smallOrderY() {
  const d = curveD();
  const root = squareRoot(1n + d);
  const inverse = powerModP(d, FIELD_P - 2n);
  const found = [0n, 1n, FIELD_P - 1n];
  for (const sign of [root, -root]) {
    const y = squareRoot(modP((sign - 1n) * inverse));
    if (y !== null) found.push(y, modP(-y));
  }
  return found.map(littleEndianBytes);
}

function isPrimeOrderKey(bytes) {
  if (!isBelow(bytes, 0, FIELD_P_BYTES, 0x7f)) return false;
  let y = 0n;
  for (let at = 31; at >= 0; at -= 1) y = (y << 8n) | BigInt(at === 31 ? bytes[at] & 0x7f : bytes[at]);
  const d = curveD();
  const squared = modP(y * y);
  const x = squareRoot(modP((squared - 1n) * powerModP(d * squared + 1n, FIELD_P - 2n)));
  if (x === null || (x === 0n && bytes[31] >> 7 === 1)) return false;
  const point = { x, y, z: 1n, t: modP(x * y) };
  const isIdentity = (p) => p.x === 0n && p.y === p.z;
  return !isIdentity(point) && isIdentity(multiplyPoint(point, GROUP_L, d));
}

// Extended coordinates; the addition of RFC 8032, §5.1.4, is complete, so it doubles as well.
function addPoints(p, q, d) {
  const a = modP((p.y - p.x) * (q.y - q.x));
  const b = modP((p.y + p.x) * (q.y + q.x));
  const c = modP(2n * d * p.t * q.t);
  const e = modP(2n * p.z * q.z);
  const [f, g, h, i] = [b - a, e - c, e + c, b + a];
  return { x: modP(f * g), y: modP(h * i), z: modP(g * h), t: modP(f * i) };
}

function multiplyPoint(point, times, d) {
  let result = { x: 0n, y: 1n, z: 1n, t: 0n };
  for (let factor = point, left = times; left > 0n; left >>= 1n, factor = addPoints(factor, factor, d)) {
    if (left & 1n) result = addPoints(result, factor, d);
  }
  return result;
}
