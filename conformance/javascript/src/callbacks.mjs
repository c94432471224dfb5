// Signed decisions (§7.3): a callback as the authorizer checks it, and the evidence an auditor checks again.

import { canonicalText, hashOf, utf8 } from "./canonical.mjs";
import { bytesFromHex, loadPublicKey, verifyEd25519 } from "./ed25519.mjs";
import { Refusal } from "./errors.mjs";
import { hasLoneSurrogate, readJson } from "./json.mjs";
import { isHash } from "./receipts.mjs";
import { readTime, secondsBetween } from "./times.mjs";

const DECISION_PREFIX = "delego-approval-decision-v1\n";
const SIGNED_MEMBERS = [
  "action_fingerprint", "approval_id", "decision", "decision_note", "display_hash", "intent_hash", "kid", "nonce", "ts",
]; // prettier-ignore
const FRESH_SECONDS = 60;

const isGivenText = (value) => typeof value === "string" && value !== "" && !hasLoneSurrogate(value);
const CALLBACK_FORMS = {
  approval_id: isGivenText,
  decision: (value) => value === "approve" || value === "deny",
  kid: isGivenText,
  nonce: isGivenText,
  signature: (value) => typeof value === "string" && /^[0-9a-f]{128}$/.test(value),
  ts: (value) => readTime(value) !== null,
};

/**
 * Reads a callback strictly; refuses what could not have been signed as `malformed`.
 * @param {string} text
 * @returns {Map<string, import("./json.mjs").JsonValue>}
 */
export function readCallback(text) {
  const callback = readJson(text, { code: "malformed" });
  if (!(callback instanceof Map)) throw new Refusal("malformed", "the callback is no object");
  for (const [name, isRight] of Object.entries(CALLBACK_FORMS)) {
    if (!isRight(callback.get(name))) throw new Refusal("malformed", `${name} is missing or of another form`);
  }
  for (const name of callback.keys()) {
    if (!(name in CALLBACK_FORMS) && name !== "decision_note") throw new Refusal("malformed", `has the unknown member ${name}`);
  }
  if (callback.has("decision_note") && typeof callback.get("decision_note") !== "string") {
    throw new Refusal("malformed", "decision_note is no text; leave it out");
  }
  return callback;
}

function signedBytes(evidence) {
  return utf8(DECISION_PREFIX + canonicalText(new Map(SIGNED_MEMBERS.map((name) => [name, evidence.get(name)]))));
}

/**
 * Checks a callback in the order of §7.3-7.
 * @param {string} text
 * @param {{keys: Record<string, string>, approvalId: string, nonce: string, actionFingerprint: string,
 *   intentHash: string, displayHash: string, exp: number, now: string}} known what the authorizer knows
 * @returns {Promise<{decision: string, evidenceDigest: string}>}
 */
export async function verifyCallback(text, known) {
  const callback = readCallback(text);
  if (callback.get("approval_id") !== known.approvalId) throw new Refusal("approval", "it is about another approval");
  if (callback.get("nonce") !== known.nonce) throw new Refusal("nonce", "it answers another notification");
  const kid = callback.get("kid");
  if (!Object.hasOwn(known.keys, kid)) throw new Refusal("kid", "it is not the key of an approver");
  const evidence = new Map(callback);
  evidence.set("decision_note", callback.get("decision_note") ?? null);
  evidence.set("action_fingerprint", known.actionFingerprint);
  evidence.set("intent_hash", known.intentHash);
  evidence.set("display_hash", known.displayHash);
  const key = await loadApproverKey(known.keys[kid]);
  if (!(await verifyEd25519(key, evidenceBytes(evidence), bytesFromHex(evidence.get("signature"))))) {
    throw new Refusal("signature", "a field was changed, or the person decided about, or saw, something else");
  }
  checkArrival(readTime(callback.get("ts")), readTime(known.now), known.exp);
  return { decision: callback.get("decision"), evidenceDigest: hashOf(evidence) };
}

async function loadApproverKey(known) {
  if (typeof known !== "string") return known;
  try {
    return await loadPublicKey(known);
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal("kid", error.message); // a key that is none is nobody's
    throw error;
  }
}

function evidenceBytes(evidence) {
  try {
    return signedBytes(evidence);
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal("malformed", error.message);
    throw error;
  }
}

function checkArrival(signed, now, exp) {
  if (now.seconds >= exp) throw new Refusal("late", "it arrived in the second of exp or later");
  const age = secondsBetween(now, signed);
  if (age > FRESH_SECONDS) throw new Refusal("stale", `it was signed more than ${FRESH_SECONDS} seconds before it arrived`);
  if (age < -FRESH_SECONDS) throw new Refusal("future", `it was signed more than ${FRESH_SECONDS} seconds ahead`);
}

/**
 * Checks one piece of evidence as an auditor does (§7.3-12): its form, its key and its signature. Whether it
 * arrived in time cannot be seen afterwards.
 * @param {Map<string, import("./json.mjs").JsonValue>} evidence the nine signed members and `signature`
 * @param {Record<string, string> | Map<string, string | import("./ed25519.mjs").PublicKey>} keys the approvers'
 *   public keys, loaded or in hexadecimal, by key id
 * @returns {Promise<{digest: string, kid: string, decision: string, approvalId: string,
 *   actionFingerprint: string, intentHash: string}>} throws a Refusal with a code of §7.3 otherwise
 */
export async function verifyEvidence(evidence, keys) {
  if (!(evidence instanceof Map)) throw new Refusal("malformed", "the evidence is no object");
  const names = [...evidence.keys()].sort().join();
  if (names !== [...SIGNED_MEMBERS, "signature"].sort().join()) {
    throw new Refusal("malformed", "the evidence has not exactly the nine signed members and the signature");
  }
  const note = evidence.get("decision_note");
  const hashes = ["action_fingerprint", "intent_hash", "display_hash"];
  const isFormed = Object.entries(CALLBACK_FORMS).every(([name, isRight]) => isRight(evidence.get(name)))
    && (note === null || typeof note === "string") && hashes.every((name) => isHash(evidence.get(name)));
  if (!isFormed) throw new Refusal("malformed", "a member of the evidence is of another form");
  const kid = evidence.get("kid");
  const known = keys instanceof Map ? keys : new Map(Object.entries(keys));
  if (!known.has(kid)) throw new Refusal("kid", "it is not the key of an approver");
  const key = await loadApproverKey(known.get(kid));
  if (!(await verifyEd25519(key, evidenceBytes(evidence), bytesFromHex(evidence.get("signature"))))) {
    throw new Refusal("signature", "the evidence is not what this key signed");
  }
  return {
    digest: hashOf(evidence),
    kid,
    decision: evidence.get("decision"),
    approvalId: evidence.get("approval_id"),
    actionFingerprint: evidence.get("action_fingerprint"),
    intentHash: evidence.get("intent_hash"),
  };
}
