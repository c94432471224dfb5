// Approvals over a chain (§7.3-12): was each release preceded by enough signed decisions about exactly that
// action, and was none released twice? Streaming: receipts are handed in one after the other, in order. What
// is kept grows with the approvals, not with the chain. Whether the chain itself is sound is chain.mjs's part.

import { verifyEvidence } from "./callbacks.mjs";
import { hashOf } from "./canonical.mjs";
import { loadPublicKey } from "./ed25519.mjs";
import { Refusal } from "./errors.mjs";
import { readJson, toPlain } from "./json.mjs";
import { textRepr } from "./pyrepr.mjs";

const NAMED_EVIDENCE = /^approval evidence sha256:([0-9a-f]{64})$/;
const HUMAN_YES = "human approved by ";
const HUMAN_NO = "human denied by ";
const WRITTEN_AHEAD = "authorized by ";
const COUNTED_YES = /^approval [0-9]+ of ([1-9][0-9]{0,5})$/;

/**
 * Reads evidence, one object a line, into a map from digest to evidence; refuses a line that is none.
 * @param {string} text JSON Lines
 * @returns {Map<string, Map<string, import("./json.mjs").JsonValue>>}
 */
export function readEvidenceLines(text) {
  const found = new Map();
  text.split("\n").forEach((line, index) => {
    if (line === "" || line === "\r") return;
    try {
      const evidence = readJson(line);
      found.set(hashOf(evidence), evidence);
    } catch (error) {
      if (error instanceof Refusal) throw new Refusal("evidence", `line ${index}: ${error.message}`);
      throw error;
    }
  });
  return found;
}

class ApprovalAudit {
  constructor(keys, principals, evidence, required) {
    this.keys = keys;
    this.principals = principals;
    this.evidence = evidence;
    this.required = required;
    this.approvals = new Map(); // by approval, action and instruction: nothing is carried over between them
    this.nonces = new Set();
  }

  /**
   * Takes the next receipt; the promise has to be awaited before the one after it.
   * @param {Map<string, unknown> | Record<string, unknown>} receipt its members
   * @returns {Promise<string[]>} what is wrong with it, in words; empty for most receipts
   */
  async check(receipt) {
    const members = receipt instanceof Map ? toPlain(receipt) : receipt;
    const id = members.approval_id;
    if (typeof id !== "string") return [];
    const approval = this.approvalOf(members);
    const reasons = Array.isArray(members.reasons) ? members.reasons.filter((one) => typeof one === "string") : [];
    const first = members.phase === "decision" ? reasons[0] ?? "" : "";
    if (members.outcome !== "allow") {
      if (first.startsWith(HUMAN_NO)) approval.denied = true;
      return [];
    }
    if (first.startsWith(HUMAN_YES)) return this.takeYes(members, reasons, approval);
    return this.checkRelease(members, first, approval);
  }

  approvalOf({ approval_id: id, action_fingerprint: fingerprint, intent_hash: intent }) {
    const key = JSON.stringify([id, String(fingerprint), String(intent)]);
    let approval = this.approvals.get(key);
    if (approval === undefined) {
      approval = { yes: new Set(), required: this.required, denied: false, started: 0, executed: 0, told: false };
      this.approvals.set(key, approval);
    }
    return approval;
  }

  async takeYes(members, reasons, approval) {
    for (const reason of reasons) {
      const counted = COUNTED_YES.exec(reason);
      if (counted !== null) approval.required = Math.max(approval.required, Number(counted[1]));
    }
    const named = reasons.map((reason) => NAMED_EVIDENCE.exec(reason)).filter((found) => found !== null);
    const about = `approval ${members.approval_id}`;
    if (named.length !== 1) return [`${about}: a human’s yes names no approval evidence`];
    const digest = named[0][1];
    const judged = await this.judge(digest, members, reasons[0].slice(HUMAN_YES.length));
    if ("problem" in judged) return [`${about}: evidence ${digest.slice(0, 12)}…: ${judged.problem}`];
    approval.yes.add(judged.who);
    return [];
  }

  // Every other allow under an approval is a release: what is written ahead of it as well as its end, of
  // which one may be missing.
  checkRelease(members, first, approval) {
    const about = `approval ${members.approval_id}`;
    const faults = [];
    if (approval.yes.size < approval.required && !approval.told) {
      faults.push(`${about} was released with ${approval.yes.size} of ${approval.required} signed approvals`);
    }
    if (approval.denied && !approval.told) faults.push(`${about} was released although a person said no`);
    approval.told = approval.told || faults.length > 0; // once for both receipts of a release
    if (this.isSecondRelease(members, first, approval)) faults.push(`${about} was released before`);
    return faults;
  }

  isSecondRelease(members, first, approval) {
    if (members.phase === "execution") {
      approval.executed += 1;
      return approval.executed > Math.max(approval.started, 1);
    }
    if (!first.startsWith(WRITTEN_AHEAD)) return false; // a late answer
    approval.started += 1;
    return approval.started > 1;
  }

  async judge(digest, members, named) {
    const evidence = this.evidence.get(digest);
    if (evidence === undefined) return { problem: "is not there" };
    try {
      const found = await verifyEvidence(evidence, this.keys);
      if (found.digest !== digest) return { problem: "is not what the receipt names" };
      if (found.decision !== "approve") return { problem: "says no" };
      if (found.approvalId !== members.approval_id) return { problem: "is about another approval" };
      if (found.actionFingerprint !== members.action_fingerprint) return { problem: "is about another action" };
      if (found.intentHash !== members.intent_hash) return { problem: "is about another instruction" };
      const nonce = evidence.get("nonce");
      if (this.nonces.has(nonce)) return { problem: "was counted before" };
      this.nonces.add(nonce);
      const who = this.principals.get(found.kid);
      if (named !== textRepr(who)) return { problem: `was signed by ${who}, and the receipt names ${named.slice(0, 80)}` };
      return { who };
    } catch (error) {
      if (error instanceof Refusal) return { problem: error.message };
      throw error;
    }
  }
}

/**
 * Begins an audit of approvals; refuses a key that is none.
 * @param {{approvers: {name: string, publicKeyHex: string}[],
 *   evidence: Map<string, Map<string, import("./json.mjs").JsonValue>>, required?: number}} options
 *   several keys of one name are one principal; `required` is how many have to say yes at least, 1 unless given
 * @returns {Promise<ApprovalAudit>}
 */
export async function createApprovalAudit({ approvers, evidence, required = 1 }) {
  const keys = new Map();
  const principals = new Map();
  for (const { name, publicKeyHex } of approvers) {
    const key = await loadPublicKey(publicKeyHex);
    const { keyId } = key;
    keys.set(keyId, key); // loaded once: looking at a key takes longer than looking at a signature
    principals.set(keyId, name);
  }
  return new ApprovalAudit(keys, principals, evidence, required);
}
