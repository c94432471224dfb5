// One receipt: its members, their forms, its hash and its signature (§8).

import { canonicalNumber, hashOf, utf8 } from "./canonical.mjs";
import { hexFromBytes, signEd25519 } from "./ed25519.mjs";
import { Refusal } from "./errors.mjs";
import { JsonNumber } from "./json.mjs";
import { isWrittenTime, readTime } from "./times.mjs";

/** The eleven fields that are hashed (§8-1). */
export const PAYLOAD_FIELDS = [
  "action_fingerprint", "action_summary", "approval_id", "intent_hash", "outcome", "phase", "prev_hash",
  "reasons", "rule", "seq", "ts",
]; // prettier-ignore
/** What every receipt has beside an optional `context`. */
export const RECEIPT_FIELDS = [...PAYLOAD_FIELDS, "entry_hash", "signature"];

const HEX_64 = /^[0-9a-f]{64}$/;
const isText = (value) => typeof value === "string";
const isTextOrNull = (value) => value === null || typeof value === "string";

const FIELD_FORMS = {
  action_fingerprint: isHash,
  action_summary: isText,
  approval_id: isTextOrNull,
  intent_hash: isHash,
  outcome: (value) => value === "allow" || value === "deny" || value === "needs_approval",
  phase: (value) => value === "decision" || value === "execution",
  prev_hash: (value) => value === "GENESIS" || isHash(value),
  reasons: (value) => Array.isArray(value) && value.every(isText),
  rule: isTextOrNull,
  seq: (value) => (integerOf(value) ?? -1) >= 0,
  ts: (value) => readTime(value) !== null,
};

/**
 * @param {unknown} value
 * @returns {boolean} whether it is 64 lower-case hexadecimal digits
 */
export function isHash(value) {
  return typeof value === "string" && HEX_64.test(value);
}

/**
 * An integer as a number, or null for anything else; `1.0` is a spelling of `1`.
 * @param {import("./json.mjs").JsonValue | undefined} value
 * @returns {number | null}
 */
export function integerOf(value) {
  if (!(value instanceof JsonNumber)) return null;
  const found = canonicalNumber(value);
  return "text" in found && /^-?[0-9]+$/.test(found.text) ? Number(found.text) : null;
}

/**
 * The names of payload members that are not of the form of §8.
 * @param {Map<string, import("./json.mjs").JsonValue>} receipt
 * @param {string[]} fields
 * @returns {string[]}
 */
export function misformedFields(receipt, fields) {
  return fields.filter((name) => !FIELD_FORMS[name](receipt.get(name)));
}

/**
 * `entry_hash` of a receipt or payload: H of its eleven fields, whatever else it has.
 * @param {Map<string, import("./json.mjs").JsonValue>} receipt
 * @returns {string}
 */
export function entryHash(receipt) {
  return hashOf(new Map(PAYLOAD_FIELDS.map((name) => [name, receipt.get(name)])));
}

/**
 * Hashes and signs a payload (§8-2, §8-3).
 * @param {import("./json.mjs").JsonValue} payload
 * @param {string} seedHex
 * @returns {Promise<{entry_hash: string, signature: string}>}
 */
export async function buildReceipt(payload, seedHex) {
  if (!(payload instanceof Map)) throw new Refusal("payload", "is no object");
  const names = [...payload.keys()].sort();
  if (names.join() !== PAYLOAD_FIELDS.join()) {
    throw new Refusal("payload", `has not exactly the eleven fields of a receipt, but ${names.join(", ")}`);
  }
  const bad = misformedFields(payload, PAYLOAD_FIELDS);
  if (!isWrittenTime(payload.get("ts"))) bad.push("ts"); // read in several forms, written in one
  if (bad.length > 0) throw new Refusal("payload", `has another form than §8 says: ${bad.join(", ")}`);
  const hash = entryHash(payload);
  const { signature } = await signEd25519(seedHex, utf8(hash));
  return { entry_hash: hash, signature: hexFromBytes(signature) };
}
