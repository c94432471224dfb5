// Verifying a chain (§8.1, §8.3), streaming: memory does not grow with the chain. Signatures are checked in
// batches, with many WebCrypto calls in flight; while one batch is away, the next one is read.

import { demandCanonical, utf8 } from "./canonical.mjs";
import { bytesFromHex, loadPublicKey, verifyEd25519 } from "./ed25519.mjs";
import { Refusal } from "./errors.mjs";
import { readJson } from "./json.mjs";
import { textRepr } from "./pyrepr.mjs";
import { PAYLOAD_FIELDS, RECEIPT_FIELDS, entryHash, integerOf, isHash, misformedFields } from "./receipts.mjs";

/** How many problems are listed; the rest is counted (§8.1-12). */
export const MAX_PROBLEMS = 1000;

const MAX_LINE_BYTES = 1024 * 1024;
const LINES_IN_FLIGHT = 1024;
const LINE_DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const RECEIPT_NAMES = new Set([...RECEIPT_FIELDS, "context"]);

/**
 * @typedef {{seq?: number, line?: number, at?: number, code: string, text: string}} Problem
 *   `at`: the number of its line, where it is about one; two lines may claim one seq
 * @typedef {{valid: boolean, completeness: "anchored" | "cannot_be_ruled_out", head: string | null,
 *   anchoredThrough: number | null, count: number, problems: Problem[], problemCount: number}} ChainReport
 */

/**
 * Reads `SEQ:HASH` (§8.3-1); refuses anything else.
 * @param {string} text
 * @returns {{seq: number, hash: string}}
 */
export function readAnchor(text) {
  const match = typeof text === "string" ? /^(0|[1-9][0-9]{0,15}):([0-9a-f]{64})$/.exec(text) : null;
  if (match === null || !Number.isSafeInteger(Number(match[1]))) {
    throw new Refusal("anchor", "an anchor is written SEQ:HASH, without sign or leading zero");
  }
  return { seq: Number(match[1]), hash: match[2] };
}

/** Cuts chunks of a stream into lines, on LF alone (§8.1-9). The last line needs no LF. */
export class LineSplitter {
  constructor() {
    this.rest = [];
  }

  /**
   * @param {Uint8Array} chunk
   * @returns {Uint8Array[]} the lines that it completes, without LF
   */
  split(chunk) {
    const lines = [];
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      lines.push(this.joined(chunk.subarray(from, end)));
      from = end + 1;
    }
    if (from < chunk.length) this.rest.push(chunk.slice(from));
    return lines;
  }

  /** @returns {Uint8Array[]} the last line, if there is one without LF */
  end() {
    return this.rest.length === 0 ? [] : [this.joined(new Uint8Array(0))];
  }

  joined(last) {
    if (this.rest.length === 0) return last;
    const parts = [...this.rest, last];
    const line = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((at, part) => (line.set(part, at), at + part.length), 0);
    this.rest = [];
    return line;
  }
}

/**
 * The receipt on a line, or null where none can be read.
 * @param {Uint8Array} line without LF; one CR at its end is dropped
 * @returns {Map<string, import("./json.mjs").JsonValue> | null}
 */
export function readReceiptLine(line) {
  const end = line.at(-1) === 13 ? line.length - 1 : line.length;
  if (end > MAX_LINE_BYTES) return null;
  try {
    const receipt = readJson(LINE_DECODER.decode(line.subarray(0, end)));
    return receipt instanceof Map ? receipt : null;
  } catch {
    return null; // neither UTF-8 nor JSON: for verification that is one and the same (§8.1-2)
  }
}

class ChainVerifier {
  constructor(key, expectedHead, anchors) {
    this.key = key;
    this.expectedHead = expectedHead;
    this.anchors = anchors;
    this.wanted = new Set(anchors.map(({ seq }) => seq));
    this.lineCount = 0;
    this.receiptCount = 0;
    this.expectedSeq = 0;
    this.expectedPrev = "GENESIS";
    this.head = null;
    this.anchored = new Map(); // the hashes of the receipts at the anchors' places, by seq
    this.problems = [];
    this.problemCount = 0;
    this.inFlight = Promise.resolve();
  }

  /**
   * Verifies the next lines. Await it before the next push: it holds back a caller that is too fast.
   * @param {Uint8Array[]} lines without LF
   */
  async push(lines) {
    for (let from = 0; from < lines.length; from += LINES_IN_FLIGHT) {
      const checks = lines.slice(from, from + LINES_IN_FLIGHT).map((line) => this.checkLine(line));
      const before = this.inFlight;
      this.inFlight = this.settle(checks, before);
      await before;
    }
  }

  async settle(checks, before) {
    const held = await Promise.all(checks.map((check) => check.signature));
    await before;
    checks.forEach((check, index) => {
      const signature = held[index] === false ? [{ ...check.place, code: "signature", text: "bad signature" }] : [];
      [...check.before, ...signature, ...check.after].forEach((problem) => this.report({ ...problem, at: check.at }));
    });
  }

  report({ seq, line, at, code, text }) {
    this.problemCount += 1;
    if (this.problems.length >= MAX_PROBLEMS) return;
    if (code === "head") this.problems.push({ seq, code, text });
    else if (seq !== undefined) this.problems.push({ seq, at, code, text: `seq ${seq}: ${text}` });
    else this.problems.push({ line, at, code, text: `line ${line}: ${text}` });
  }

  // What can be said of a line at once, and the promise of the rest. Problems before the signature and
  // behind it are kept apart, because they are listed in the order of §8.1-1.
  checkLine(line) {
    const lineNumber = this.lineCount;
    this.lineCount += 1;
    const check = { at: lineNumber, place: { line: lineNumber }, before: [], after: [], signature: true };
    const receipt = readReceiptLine(line);
    const missing = receipt === null ? [] : RECEIPT_FIELDS.filter((name) => !receipt.has(name)).sort();
    const hash = receipt === null ? null : computedHash(receipt, missing.length === 0);
    if (hash === null) {
      this.expectedSeq += 1;
      check.after.push({ line: lineNumber, code: "structure", text: "unparseable receipt (corrupt)" });
      return check;
    }
    this.receiptCount += 1;
    const seq = integerOf(receipt.get("seq")) ?? lineNumber;
    check.place = { seq };
    if (missing.length > 0) {
      this.expectedSeq += 1;
      const text = `missing field(s) [${missing.map(textRepr).join(", ")}] (tampered)`;
      check.after.push({ ...check.place, code: "structure", text });
      return check;
    }
    this.checkReceipt(receipt, seq, hash, check);
    return check;
  }

  checkReceipt(receipt, seq, hash, check) {
    const stored = receipt.get("entry_hash");
    const add = (list, code, text) => list.push({ ...check.place, code, text });
    if (hash !== stored) add(check.before, "content", "content hash mismatch (tampered)");
    if (receipt.get("prev_hash") !== this.expectedPrev) add(check.before, "linkage", "broken chain link");
    if (seq !== this.expectedSeq) add(check.before, "seq", `out of sequence, expected ${this.expectedSeq}`);
    const signature = bytesFromHex(receipt.get("signature"));
    check.signature = signature === null || typeof stored !== "string"
      ? false
      : verifyEd25519(this.key, utf8(stored), signature);
    this.checkMembers(receipt, check, add);
    this.expectedPrev = typeof stored === "string" ? stored : null;
    this.expectedSeq = seq + 1;
    if (isHash(stored)) {
      this.head = { seq, hash: stored };
      if (this.wanted.has(seq) && !this.anchored.has(seq)) this.anchored.set(seq, stored);
    }
  }

  checkMembers(receipt, check, add) {
    const unknown = [...receipt.keys()].filter((name) => !RECEIPT_NAMES.has(name)).sort();
    if (unknown.length > 0) add(check.after, "structure", `unknown field(s) [${unknown.map(textRepr).join(", ")}]`);
    // A hash or signature of another form is a wrong one, and that is said already (§8.1-15).
    const misformed = misformedFields(receipt, PAYLOAD_FIELDS).filter(
      (name) => name !== "prev_hash" || typeof receipt.get(name) !== "string",
    );
    if (receipt.has("context") && !(receipt.get("context") instanceof Map)) misformed.push("context");
    if (misformed.length > 0) {
      add(check.after, "structure", `malformed field(s) [${misformed.sort().map(textRepr).join(", ")}]`);
    }
  }

  /**
   * Ends the verification.
   * @returns {Promise<ChainReport>}
   */
  async finish() {
    await this.inFlight;
    const wanted = this.expectedHead === null ? [] : [[this.expectedHead, this.head]];
    for (const anchor of this.anchors) {
      const hash = this.anchored.get(anchor.seq);
      wanted.push([anchor, hash === undefined ? this.head : { seq: anchor.seq, hash }]);
    }
    const faults = wanted.map(([one, found]) => this.headProblem(one, found)).filter((problem) => problem !== null);
    const isAnchored = wanted.length > 0 && faults.length === 0;
    if (this.problems.length >= MAX_PROBLEMS && faults.length > 0) this.problems.pop(); // what comes last is listed
    faults.forEach((problem) => this.report(problem));
    return {
      valid: this.problemCount === 0,
      completeness: isAnchored ? "anchored" : "cannot_be_ruled_out",
      anchoredThrough: isAnchored ? wanted.reduce((most, [{ seq }]) => Math.max(most, seq), 0) : null,
      head: this.head === null ? null : `${this.head.seq}:${this.head.hash}`,
      count: this.receiptCount,
      problems: this.problems,
      problemCount: this.problemCount,
    };
  }

  headProblem(wanted, found) {
    if (found !== null && found.seq === wanted.seq && found.hash === wanted.hash) return null;
    const shown = ({ seq, hash }) => `seq ${seq} (${hash.slice(0, 12)}…)`;
    const text = `head mismatch: expected ${shown(wanted)}, found ${found === null ? "no receipts" : shown(found)}`;
    return { seq: wanted.seq, code: "head", text };
  }
}

// The hash of a receipt's payload ("" for one that lacks members), or null where a value is beyond §3: such a
// line cannot be read. Outside the payload there is no limit in size but that of the line.
function computedHash(receipt, isWhole) {
  try {
    for (const [name, value] of receipt) {
      if (!isWhole || !PAYLOAD_FIELDS.includes(name)) demandCanonical(value);
    }
    return isWhole ? entryHash(receipt) : "";
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

/**
 * Begins the verification of a chain; refuses a key or an anchor that is none.
 * @param {{publicKeyHex: string, expectedHead?: string, anchor?: string | string[]}} options
 *   `expectedHead`: the chain ends there (§8.3-3); `anchor`: it may have grown since (§8.3-4)
 * @returns {Promise<{push: (lines: Uint8Array[]) => Promise<void>, finish: () => Promise<ChainReport>}>}
 */
export async function createChainVerifier({ publicKeyHex, expectedHead, anchor }) {
  const key = await loadPublicKey(publicKeyHex);
  return new ChainVerifier(
    key,
    expectedHead === undefined || expectedHead === null ? null : readAnchor(expectedHead),
    [anchor ?? []].flat().map(readAnchor),
  );
}
