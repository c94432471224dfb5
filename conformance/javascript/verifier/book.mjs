// The approvals of a ledger: their story in receipts, and who signed what.

import { createApprovalAudit, readEvidenceLines } from "../src/audit.mjs";
import { verifyEvidence } from "../src/callbacks.mjs";
import { loadPublicKey } from "../src/ed25519.mjs";

const MOST = 2000; // approvals that are listed; the others can be found by filtering
const MOST_EVENTS = 40; // receipts listed for one approval
const MOST_EVIDENCE = 64 * 1024 * 1024; // bytes of an evidence file
const NAMED = /^approval evidence sha256:([0-9a-f]{64})$/;

/** Collects approvals while the ledger is read; `finish` judges their signatures. */
export class ApprovalBook {
  #approvals = new Map();
  #count = new Set();
  #names;
  #keys;
  #evidence;
  #audit;
  #faults = [];
  #pending = Promise.resolve();

  constructor(names, keys, evidence, audit) {
    this.#names = names;
    this.#keys = keys;
    this.#evidence = evidence;
    this.#audit = audit;
  }

  /** A book for these approvers `{name, publicKeyHex}`; `file` holds their evidence, or is null. */
  static async open(approvers, required, file) {
    const names = new Map();
    const keys = {};
    for (const { name, publicKeyHex } of approvers) {
      const { keyId } = await loadPublicKey(publicKeyHex);
      names.set(keyId, name);
      keys[keyId] = publicKeyHex;
    }
    const evidence = file === null ? new Map() : await readEvidence(file);
    const audit = approvers.length === 0 ? null : await createApprovalAudit({ approvers, evidence, required });
    return new ApprovalBook(names, keys, evidence, audit);
  }

  /** Take the next receipt; `at` is its line. */
  add(members, at) {
    const id = members.approval_id;
    if (typeof id !== "string") return;
    if (this.#audit !== null) this.#pending = this.#pending.then(() => this.#check(members, at));
    if (this.#count.size < 1_000_000) this.#count.add(id);
    let approval = this.#approvals.get(id);
    if (approval === undefined) {
      if (this.#approvals.size >= MOST) return;
      approval = { id, summary: "", events: [], named: [], released: false };
      this.#approvals.set(id, approval);
    }
    const reasons = Array.isArray(members.reasons) ? members.reasons.filter((reason) => typeof reason === "string") : [];
    if (members.outcome === "needs_approval" && typeof members.action_summary === "string") approval.summary = members.action_summary;
    if (members.phase === "execution" && members.outcome === "allow") approval.released = true;
    for (const reason of reasons) {
      const found = NAMED.exec(reason);
      if (found !== null) approval.named.push(found[1]);
    }
    if (approval.events.length < MOST_EVENTS) approval.events.push({ at, seq: members.seq, text: told(members, reasons) });
  }

  /** The approvals with their signatures, and what is wrong with them. */
  async finish() {
    await this.#pending;
    const shown = [];
    for (const approval of this.#approvals.values()) {
      shown.push({ ...approval, signatures: await Promise.all(approval.named.map((digest) => this.#signature(approval.id, digest))) });
    }
    return { shown, count: this.#count.size, faults: this.#faults, note: this.#note() };
  }

  async #check(members, at) {
    for (const text of await this.#audit.check(members)) this.#faults.push({ seq: members.seq, at, code: "approval", text });
  }

  #note() {
    if (this.#approvals.size === 0 || this.#audit !== null) return "";
    return "No approver’s key was given, so that who said yes rests on the ledger’s word alone.";
  }

  async #signature(approvalId, digest) {
    const evidence = this.#evidence.get(digest);
    if (evidence === undefined) return { valid: false, text: `evidence ${digest.slice(0, 12)}… is not among the files` };
    try {
      const found = await verifyEvidence(evidence, this.#keys);
      const who = this.#names.get(found.kid);
      if (found.approvalId !== approvalId) return { valid: false, text: `${found.decision} by ${who}, for another approval` };
      return { valid: true, text: `${found.decision} by ${who}, ${evidence.get("ts")}` };
    } catch (error) {
      return { valid: false, text: `${error.message} (${digest.slice(0, 12)}…)` };
    }
  }
}

async function readEvidence(file) {
  if (file.size > MOST_EVIDENCE) throw new Error(`the evidence has ${file.size} bytes; at most ${MOST_EVIDENCE} are read`);
  return readEvidenceLines(await file.text());
}

function told(members, reasons) {
  const what = members.outcome === "needs_approval" ? "parked" : reasons[0] ?? "";
  return what.length > 160 ? `${what.slice(0, 160)}…` : what;
}
