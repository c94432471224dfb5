// Approvals over a chain (§7.3-12): was each release preceded by enough signed decisions about exactly that
// action, and was none released twice? Streaming: receipts are handed in one after the other, in order. What
// is kept grows with the approvals, not with the chain. Whether the chain itself is sound is chain.mjs's part.

import { verifyEvidence } from "./callbacks.mjs";
import { hashOf } from "./canonical.mjs";
import { loadPublicKey } from "./ed25519.mjs";
import { Refusal } from "./errors.mjs";
import { readJson, toPlain } from "./json.mjs";

const NAMED_EVIDENCE = /^approval evidence sha256:([0-9a-f]{64})$/;
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
    this.open = new Map(); // approval id -> {digests, required}, until it is released
    this.released = new Set();
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
    if (members.phase === "execution" && members.outcome === "allow") return this.checkRelease(id, members);
    if (members.phase === "decision" && !this.released.has(id)) this.collect(id, members.reasons);
    return [];
  }

  collect(id, reasons) {
    const state = this.open.get(id) ?? { digests: new Set(), required: this.required };
    for (const reason of Array.isArray(reasons) ? reasons : []) {
      const named = NAMED_EVIDENCE.exec(reason);
      if (named !== null) state.digests.add(named[1]);
      const counted = COUNTED_YES.exec(reason);
      if (counted !== null) state.required = Math.max(state.required, Number(counted[1]));
    }
    this.open.set(id, state);
  }

  async checkRelease(id, members) {
    if (this.released.has(id)) return [`approval ${id} was released before`];
    const state = this.open.get(id) ?? { digests: new Set(), required: this.required };
    this.open.delete(id);
    this.released.add(id);
    const faults = [];
    const saidYes = new Set();
    for (const digest of state.digests) {
      const judged = await this.judge(digest, id, members);
      if ("problem" in judged) faults.push(`approval ${id}: evidence ${digest.slice(0, 12)}…: ${judged.problem}`);
      else if (judged.decision === "deny") faults.push(`approval ${id} was released although ${judged.who} said no`);
      else saidYes.add(judged.who);
    }
    if (saidYes.size < state.required) {
      faults.push(`approval ${id} was released with ${saidYes.size} of ${state.required} signed approvals`);
    }
    return faults;
  }

  async judge(digest, id, members) {
    const evidence = this.evidence.get(digest);
    if (evidence === undefined) return { problem: "is not there" };
    try {
      const found = await verifyEvidence(evidence, this.keys);
      if (found.digest !== digest) return { problem: "is not what the receipt names" };
      if (found.approvalId !== id) return { problem: "is about another approval" };
      if (found.actionFingerprint !== members.action_fingerprint) return { problem: "is about another action" };
      if (found.intentHash !== members.intent_hash) return { problem: "is about another instruction" };
      return { decision: found.decision, who: this.principals.get(found.kid) };
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
    const { keyId } = await loadPublicKey(publicKeyHex);
    keys.set(keyId, publicKeyHex);
    principals.set(keyId, name);
  }
  return new ApprovalAudit(keys, principals, evidence, required);
}
