// What the auditor hands in: files told apart by what is in them, keys and heads as text.

const SPKI_ED25519 = "302a300506032b6570032100"; // what every Ed25519 public key in PEM begins with
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

/** The last anchor in the text of an anchor file, null if there is none. */
export function lastAnchor(text) {
  const lines = text.split("\n").map((line) => line.trim().split(/\s+/)[0]).filter((line) => line !== "" && !line.startsWith("#"));
  return lines.length > 0 && lines.every((line) => readHead(line) !== null) ? lines[lines.length - 1] : null;
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

/** What a file is: `{kind, …}` with kind ledger, gzip, evidence, key, anchors or unknown. */
export async function recognise(file) {
  const start = new Uint8Array(await file.slice(0, LOOK).arrayBuffer());
  if (start[0] === 0x1f && start[1] === 0x8b) return { kind: "gzip", file };
  const text = new TextDecoder().decode(start);
  const publicKeyHex = readKey(text);
  if (publicKeyHex !== null) return { kind: "key", file, publicKeyHex, name: file.name.replace(/\.[^.]*$/, "") };
  const anchor = file.size < LOOK * 64 ? lastAnchor(await file.text()) : null;
  if (anchor !== null) return { kind: "anchors", file, anchor };
  if (/"display_hash"\s*:/.test(text) && !/"prev_hash"\s*:/.test(text)) return { kind: "evidence", file };
  if (/"(?:prev_hash|entry_hash)"\s*:/.test(text) || /\.jsonl$/i.test(file.name)) return { kind: "ledger", file };
  return { kind: "unknown", file };
}
