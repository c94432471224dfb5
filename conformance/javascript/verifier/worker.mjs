// Verifies in the background and answers the page's questions about lines: the page itself never reads the ledger.

import { createChainVerifier } from "../src/chain.mjs";
import { ApprovalBook } from "./book.mjs";
import { LineCutter, LineIndex, cutText, lineAsText, lineMembers, plainText } from "./ledger.mjs";

const BATCH = 512; // lines verified together
const TELL = 120; // milliseconds between two words about progress
const HASHED_WHOLE = 256 * 1024 * 1024; // bytes; larger files are not hashed as a whole
const SCAN = 4 * 1024 * 1024; // bytes of lines searched at a time
const MOST_LINES = 20_000_000; // what a page has memory for
const MOST_UNPACKED = 32 * 1024 ** 3; // bytes; a gzip file may unpack to a thousand times its size
const RULES_LISTED = 1000;
const WHOLE_TEXT = 200_000; // characters of a line that are shown
const WHOLE_SUMMARY = 65_536;

let ledger = null; // the file, unpacked
let index = null;
let faultsByLine = new Map();
let places = null; // the lines that a filter lets through; null: all
let newestFilter = 0;

self.addEventListener("message", async (event) => {
  const { id, ask, ...rest } = event.data;
  try {
    self.postMessage({ id, answer: await ANSWERS[ask](rest) });
  } catch (error) {
    self.postMessage({ id, problem: inWords(error) });
  }
});

// A stream of a file that changed ends with what Chromium calls a network error.
function isUnreadable(error) {
  return ["NotReadableError", "NotFoundError", "NetworkError"].includes(error?.name) || error?.message === "network error";
}

function inWords(error) {
  if (isUnreadable(error)) return "the file can no longer be read: it was changed or moved";
  if (error?.name === "NotSupportedError" || self.crypto?.subtle === undefined) return "this browser cannot check Ed25519 signatures; take a newer one";
  return error instanceof Error ? error.message : String(error);
}

const ANSWERS = {
  verify: verifyLedger,
  rows: ({ from, to }) => rowsBetween(from, to),
  receipt: ({ place }) => wholeReceipt(places === null ? place : places[place]),
  line: ({ at }) => wholeReceipt(at),
  filter: filterLines,
};

async function verifyLedger({ file, gzip, publicKeyHex, head, meaning, anchors, approvers, required, evidence }) {
  const started = performance.now();
  ledger = gzip ? await unpacked(file) : file;
  index = new LineIndex();
  faultsByLine = new Map();
  places = null;
  const book = await ApprovalBook.open(approvers, required, evidence);
  const verifier = await createChainVerifier({
    publicKeyHex,
    expectedHead: meaning === "head" ? head ?? undefined : undefined,
    anchor: [...(meaning === "anchor" && head !== null ? [head] : []), ...anchors],
  });
  await readLines(ledger, verifier, book);
  const found = await verifier.finish();
  const approvals = await book.finish();
  const problems = found.problems.map(placed);
  const approvalFaults = approvals.faults.map(placed);
  for (const fault of [...problems, ...approvalFaults]) {
    if (fault.at === undefined) continue;
    const codes = faultsByLine.get(fault.at) ?? [];
    if (!codes.includes(fault.code)) faultsByLine.set(fault.at, [...codes, fault.code]);
  }
  const headSeq = found.head === null ? null : Number(found.head.split(":")[0]);
  return {
    completeness: found.completeness, count: index.count, head: found.head, headSeq, anchoredSeq: found.anchoredThrough,
    wanted: head, meaning, anchorCount: anchors.length,
    problems, problemCount: found.problemCount, approvalFaults, approvalFaultCount: approvals.faultCount,
    approvals: approvals.shown, approvalCount: approvals.count, released: approvals.released, approvers, required,
    evidenceName: evidence === null ? null : evidence.name,
    firstTs: index.firstTs, lastTs: index.lastTs, rules: index.rulesByName(RULES_LISTED), ruleCount: index.ruleNames.length - 1,
    publicKeyHex, fileName: file.name, fileBytes: file.size, fileSha256: await fileHash(file),
    seconds: (performance.now() - started) / 1000, when: new Date().toISOString(),
  };
}

// Into a blob, which the browser keeps outside of this page's memory: lines are read again when they are shown.
async function unpacked(file) {
  const parts = [];
  let some = [];
  let size = 0;
  let told = 0;
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  try {
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      some.push(step.value);
      size += step.value.length;
      if (size > MOST_UNPACKED) break;
      if (some.length >= 512) parts.push(new Blob(some.splice(0)));
      if (performance.now() - told > TELL) {
        told = performance.now();
        self.postMessage({ progress: { unpacked: size } });
      }
    }
  } catch (error) {
    if (isUnreadable(error)) throw error;
    throw new Error("the file begins like gzip, but cannot be unpacked");
  }
  if (size > MOST_UNPACKED) throw new Error("the file unpacks to more than this page takes; unpack it and use delego verify");
  return new Blob([...parts, ...some]);
}

async function readLines(blob, verifier, book) {
  const cutter = new LineCutter();
  let batch = [];
  let done = 0;
  let told = 0;
  const take = (line, offset, length) => {
    if (index.count >= MOST_LINES) throw new Error(`it has more than ${MOST_LINES} lines, which is more than this page takes; use delego verify`);
    const members = lineMembers(line);
    index.add(offset, length, members);
    if (members !== null) book.add(members, index.count - 1);
    batch.push(line);
  };
  const flush = async (all) => {
    while (batch.length >= BATCH || (all && batch.length > 0)) await verifier.push(batch.splice(0, BATCH));
    await book.settled();
  };
  const reader = blob.stream().getReader();
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    cutter.push(step.value, take);
    done += step.value.length;
    await flush(false);
    if (performance.now() - told > TELL) {
      told = performance.now();
      self.postMessage({ progress: { done, total: blob.size, receipts: index.count } });
    }
  }
  cutter.finish(take);
  await flush(true);
}

function placed(problem) {
  const cut = { ...problem, text: cutText(problem.text, 400) };
  return cut.at !== undefined && cut.at < index.count ? cut : { ...cut, at: undefined };
}

async function fileHash(blob) {
  if (blob.size > HASHED_WHOLE) return null;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function rowsBetween(from, to) {
  const wanted = [];
  for (let place = from; place < to; place += 1) wanted.push(places === null ? place : places[place]);
  return Promise.all(wanted.filter((at) => at < index.count).map(async (at) => {
    const members = lineMembers(await bytesOf(at)) ?? {};
    const text = (name) => cutText(plainText(members[name]), 300);
    return {
      line: at, seq: index.seqs[at] === -1 ? null : index.seqs[at], ts: text("ts"), phase: text("phase"),
      outcome: text("outcome"), rule: text("rule"), summary: text("action_summary"), faults: faultsByLine.get(at) ?? [],
    };
  }));
}

const NAMES = ["seq", "ts", "phase", "outcome", "rule", "approval_id", "intent_hash", "action_fingerprint", "prev_hash", "entry_hash", "signature"];

// Texts only, cut to what can be shown: what a line holds may be deep, long, or of any type.
async function wholeReceipt(at) {
  const line = await bytesOf(at);
  const members = lineMembers(line);
  const known = members ?? {};
  const reasons = Array.isArray(known.reasons) ? known.reasons : [];
  return {
    line: at, bytes: index.lengths[at], isObject: members !== null, faults: faultsByLine.get(at) ?? [],
    facts: Object.fromEntries(NAMES.map((name) => [name, cutText(plainText(known[name]), 2000)])),
    summary: cutText(plainText(known.action_summary), WHOLE_SUMMARY),
    reasons: reasons.slice(0, 100).map((reason) => cutText(plainText(reason), 2000)), reasonCount: reasons.length,
    context: Object.hasOwn(known, "context") ? cutText(plainText(known.context), WHOLE_SUMMARY) : null,
    text: cutText(lineAsText(line), WHOLE_TEXT),
  };
}

async function bytesOf(at) {
  const start = index.offsets[at];
  return new Uint8Array(await ledger.slice(start, start + index.lengths[at]).arrayBuffer());
}

async function filterLines(wanted) {
  const turn = ++newestFilter;
  const text = wanted.text.trim().toLowerCase();
  if (wanted.outcome === "" && wanted.phase === "" && wanted.rule === "" && !wanted.faulty && text === "") {
    places = null;
    return { count: index.count };
  }
  const found = [];
  for (let at = 0; at < index.count; at += 1) {
    if (index.fits(at, wanted) && (!wanted.faulty || faultsByLine.has(at))) found.push(at);
  }
  const kept = text === "" ? found : await containing(found, text, turn);
  if (kept === null) return { count: null }; // a newer filter has come
  places = Uint32Array.from(kept);
  return { count: places.length };
}

async function containing(lines, text, turn) {
  const kept = [];
  for (let first = 0; first < lines.length;) {
    let last = first;
    const start = index.offsets[lines[first]];
    while (last + 1 < lines.length && index.offsets[lines[last + 1]] - start < SCAN) last += 1;
    const bytes = new Uint8Array(await ledger.slice(start, index.offsets[lines[last]] + index.lengths[lines[last]]).arrayBuffer());
    if (turn !== newestFilter) return null;
    for (const at of lines.slice(first, last + 1)) {
      const from = index.offsets[at] - start;
      if (lineAsText(bytes.subarray(from, from + index.lengths[at])).toLowerCase().includes(text)) kept.push(at);
    }
    first = last + 1;
  }
  return kept;
}
