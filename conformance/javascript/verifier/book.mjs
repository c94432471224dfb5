// The approvals of a ledger: their story in receipts, and who signed what.

import { createApprovalAudit, readEvidenceLines } from "../src/audit.mjs";
import { verifyEvidence } from "../src/callbacks.mjs";
import { utf8 } from "../src/canonical.mjs";
import { loadPublicKey } from "../src/ed25519.mjs";
import { sha256Hex } from "../src/sha256.mjs";
import { cutText, plainText } from "./ledger.mjs";

const MOST = 1000; // approvals that are listed; the others can be found by filtering
const MOST_EVENTS = 20; // receipts listed for one approval
const MOST_NAMED = 20; // pieces of evidence listed for one approval
const MOST_FAULTS = 1000; // faults that are kept; the rest is counted
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
  #faultCount = 0;
  #released = 0;
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
    const keys = new Map();
    for (const { name, publicKeyHex } of approvers) {
      const key = await loadPublicKey(publicKeyHex);
      names.set(key.keyId, name);
      keys.set(key.keyId, key);
    }
    const evidence = file === null ? new Map() : await readEvidence(file);
    const audit = approvers.length === 0 ? null : await createApprovalAudit({ approvers, evidence, required });
    return new ApprovalBook(names, keys, evidence, audit);
  }

  /** Take the next receipt; `at` is its line. */
  add(members, at) {
    const whole = members.approval_id;
    if (typeof whole !== "string") return;
    if (this.#audit !== null) this.#pending = this.#pending.then(() => this.#check(members, at));
    const isRelease = members.phase === "execution" && members.outcome === "allow";
    if (isRelease) this.#released += 1;
    const id = shortId(whole);
    if (this.#count.size < 1_000_000) this.#count.add(id);
    let approval = this.#approvals.get(id);
    if (approval === undefined) {
      if (this.#approvals.size >= MOST) return;
      approval = { id, summary: "", events: [], eventCount: 0, named: [], released: false };
      this.#approvals.set(id, approval);
    }
    const reasons = Array.isArray(members.reasons) ? members.reasons.filter((reason) => typeof reason === "string") : [];
    if (members.outcome === "needs_approval" && approval.summary === "") approval.summary = cutText(plainText(members.action_summary), 2000);
    if (isRelease) approval.released = true;
    for (const reason of reasons) {
      const found = NAMED.exec(reason);
      if (found !== null && approval.named.length < MOST_NAMED && !approval.named.includes(found[1])) approval.named.push(found[1]);
    }
    approval.eventCount += 1;
    if (approval.events.length < MOST_EVENTS) approval.events.push({ at, seq: cutText(plainText(members.seq), 20), text: told(members, reasons) });
  }

  /** Once what was taken so far is judged; holds back a reader that is too fast. */
  async settled() {
    await this.#pending;
  }

  /** The approvals with their signatures, and what is wrong with them. */
  async finish() {
    await this.#pending;
    const shown = [];
    for (const approval of this.#approvals.values()) {
      shown.push({ ...approval, signatures: await Promise.all(approval.named.map((digest) => this.#signature(approval.id, digest))) });
    }
    return { shown, count: this.#count.size, released: this.#released, faults: this.#faults, faultCount: this.#faultCount };
  }

  async #check(members, at) {
    for (const text of await this.#audit.check(members)) {
      this.#faultCount += 1;
      if (this.#faults.length < MOST_FAULTS) this.#faults.push({ line: at, at, code: "approval", text });
    }
  }

  async #signature(approvalId, digest) {
    const evidence = this.#evidence.get(digest);
    const about = `evidence ${digest.slice(0, 12)}…`;
    if (this.#audit === null) return { state: "unchecked", text: `${about}${evidence === undefined ? "" : ", which is there"}` };
    if (evidence === undefined) return { state: "invalid", text: `${about} is not among the files` };
    try {
      const found = await verifyEvidence(evidence, this.#keys);
      const who = this.#names.get(found.kid);
      if (shortId(found.approvalId) !== approvalId) return { state: "invalid", text: `${found.decision} by ${who}, for another approval` };
      return { state: "valid", text: `${found.decision} by ${who}, ${evidence.get("ts")}` };
    } catch (error) {
      return { state: "invalid", text: `${about}: ${error.message}` };
    }
  }
}

async function readEvidence(file) {
  if (file.size > MOST_EVIDENCE) throw new Error(`the evidence has ${file.size} bytes; at most ${MOST_EVIDENCE} are read`);
  return readEvidenceLines(await file.text());
}

// Ids are short; a hostile one may be as long as its line.
function shortId(id) {
  return id.length <= 128 ? id : `${id.slice(0, 64)}… (sha256:${sha256Hex(utf8(id))})`;
}

function told(members, reasons) {
  const what = members.outcome === "needs_approval" ? "parked" : reasons[0] ?? "";
  return what.length > 160 ? `${what.slice(0, 160)}…` : what;
}
