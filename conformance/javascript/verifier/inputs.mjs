// What the auditor hands in: files told apart by what is in them, keys and heads as text.

const SPKI_ED25519 = "302a300506032b6570032100"; // what every Ed25519 public key in PEM begins with
const MOST_ANCHORS = 16 * 1024 * 1024; // bytes of an anchor file
const ANCHOR_LINE = /^\s*[0-9]{1,16}:[0-9a-f]{64}(?:\s|$)/;
const LOOK = 64 * 1024; // bytes of a file that say what it is

/** The 64 hexadecimal digits of a public key given as such or in PEM; null for anything else. */
export function readKey(text) {
  const trimmed = text.trim();
  if (/^[0-9a-f]{64}$/.test(trimmed)) return trimmed;
  const pem = /^-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----$/.exec(trimmed);
  if (pem === null) return null;
  let bytes;
  try {
    bytes = atob(pem[1].replace(/\s+/g, ""));
  } catch {
    return null;
  }
  const digits = Array.from(bytes, (one) => one.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  return digits.length === 88 && digits.startsWith(SPKI_ED25519) ? digits.slice(24) : null;
}

/** `SEQ:HASH` as given, null for anything else. */
export function readHead(text) {
  const found = /^(0|[1-9][0-9]{0,15}):[0-9a-f]{64}$/.exec(text.trim());
  return found === null ? null : found[0];
}

/** The anchors of an anchor file, `SEQ:HASH TS` a line, oldest first; throws an Error for a line that is none. */
export function readAnchorLines(text) {
  const found = [];
  text.split("\n").forEach((line, index) => {
    if (line.trim() === "") return;
    const anchor = readHead(line.trim().split(/\s+/)[0]);
    if (anchor === null) throw new Error(`line ${index + 1} is no anchor`);
    const before = found.at(-1);
    if (before !== undefined && seqOf(before) >= seqOf(anchor)) throw new Error(`the anchor of line ${index + 1} does not come after the one before it`);
    found.push(anchor);
  });
  return found;
}

/** The seq of an anchor. */
export function seqOf(anchor) {
  return Number(anchor.split(":")[0]);
}

/** Approvers as `{name, publicKeyHex}`; throws an Error that names the line that cannot be read. */
export function readApprovers(text) {
  const found = [];
  text.split("\n").forEach((line, index) => {
    const trimmed = line.trim();
    if (trimmed === "") return;
    const parts = /^(.*\S)\s+([0-9a-f]{64})$/.exec(trimmed);
    if (parts === null) throw new Error(`approvers, line ${index + 1}: write a name and the 64 hexadecimal digits of a key`);
    found.push({ name: parts[1], publicKeyHex: parts[2] });
  });
  return found;
}

/**
 * What a file is: `{kind, …}` with kind ledger, gzip, evidence, key, head, anchors or unknown. Throws where it
 * cannot be read, and an Error with the reason for an anchor file that is not in order.
 */
export async function recognise(file) {
  const start = new Uint8Array(await file.slice(0, LOOK).arrayBuffer());
  if (start[0] === 0x1f && start[1] === 0x8b) return { kind: "gzip" };
  const text = new TextDecoder().decode(start);
  const publicKeyHex = readKey(text);
  if (publicKeyHex !== null) return { kind: "key", publicKeyHex, name: file.name.replace(/\.[^.]*$/, "").replace(/\s+/g, " ") };
  const head = readHead(text);
  if (head !== null) return { kind: "head", head };
  if (ANCHOR_LINE.test(text) && file.size < MOST_ANCHORS) return { kind: "anchors", anchors: readAnchorLines(await file.text()) };
  if (/"display_hash"\s*:/.test(text) && !/"prev_hash"\s*:/.test(text)) return { kind: "evidence" };
  if (/"(?:prev_hash|entry_hash)"\s*:/.test(text) || /\.jsonl$/i.test(file.name)) return { kind: "ledger" };
  return { kind: "unknown" };
}
