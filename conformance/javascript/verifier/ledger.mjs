// A ledger export as the page needs it: where each line is in the file, and the few facts that filters ask for.

const MAX_LINE = 1024 * 1024 + 2; // bytes of a line that are kept; a longer one is no receipt
const LF = 10;
const OUTCOMES = ["", "allow", "deny", "needs_approval"];
const PHASES = ["", "decision", "execution"];

/** Cuts chunks into lines, on LF alone; `take(line, offset, length)` gets each, without its LF. */
export class LineCutter {
  #parts = [];
  #kept = 0;
  #length = 0;
  #offset = 0;

  /** Every line that ends in this chunk. */
  push(chunk, take) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      this.#keep(chunk.subarray(start, end));
      this.#give(take, 1);
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  /** The last line, which needs no LF. */
  finish(take) {
    if (this.#length > 0) this.#give(take, 0);
  }

  #keep(part) {
    this.#length += part.length;
    const room = MAX_LINE - this.#kept;
    if (room > 0 && part.length > 0) {
      const kept = part.length > room ? part.subarray(0, room) : part;
      this.#parts.push(kept);
      this.#kept += kept.length;
    }
  }

  #give(take, newline) {
    const line = this.#parts.length === 1 ? this.#parts[0] : joinParts(this.#parts, this.#kept);
    take(line, this.#offset, this.#length);
    this.#offset += this.#length + newline;
    this.#parts = [];
    this.#kept = 0;
    this.#length = 0;
  }
}

function joinParts(parts, size) {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Arrays that grow: some 30 bytes for a receipt, so that a million of them fit into a page. */
export class LineIndex {
  count = 0;
  offsets = new Float64Array(1024);
  lengths = new Uint32Array(1024);
  seqs = new Float64Array(1024); // -1: no receipt
  kinds = new Uint8Array(1024); // outcome + 4 * phase
  rules = new Uint32Array(1024); // 0: none
  ruleNames = [""];
  #ruleIds = new Map();
  firstTs = null;
  lastTs = null;

  /** Note a line; `members` is the parsed object, or null. */
  add(offset, length, members) {
    const at = this.count;
    if (at === this.offsets.length) this.#grow();
    this.offsets[at] = offset;
    this.lengths[at] = Math.min(length, MAX_LINE); // as much of it as is ever read again
    const seq = members === null ? -1 : members.seq;
    this.seqs[at] = Number.isSafeInteger(seq) && seq >= 0 ? seq : -1;
    if (members !== null) {
      this.kinds[at] = Math.max(0, OUTCOMES.indexOf(members.outcome)) + 4 * Math.max(0, PHASES.indexOf(members.phase));
      this.rules[at] = typeof members.rule === "string" ? this.#ruleId(members.rule) : 0;
      if (typeof members.ts === "string") {
        this.lastTs = cutText(members.ts, 64);
        this.firstTs ??= this.lastTs;
      }
    }
    this.count += 1;
  }

  /** The first rules in the order of their names, as `{id, name}`. */
  rulesByName(most) {
    const found = this.ruleNames.map((name, id) => ({ id, name: cutText(name, 120) })).slice(1, most + 1);
    return found.sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** Whether a line has this outcome, phase and rule (its id), each "" for any. */
  fits(at, { outcome, phase, rule }) {
    return (outcome === "" || OUTCOMES[this.kinds[at] & 3] === outcome)
      && (phase === "" || PHASES[this.kinds[at] >> 2] === phase)
      && (rule === "" || this.rules[at] === Number(rule));
  }

  #ruleId(whole) {
    const name = whole.length > 1000 ? whole.slice(0, 1000) : whole;
    let id = this.#ruleIds.get(name);
    if (id === undefined) {
      if (this.ruleNames.length >= 100_000) return 0; // a hostile ledger with a rule for each line
      id = this.ruleNames.length;
      this.ruleNames.push(name);
      this.#ruleIds.set(name, id);
    }
    return id;
  }

  #grow() {
    for (const name of ["offsets", "lengths", "seqs", "kinds", "rules"]) {
      const larger = new this[name].constructor(this[name].length * 2);
      larger.set(this[name]);
      this[name] = larger;
    }
  }
}

/** A text of at most this many characters, with a word on what is left out. */
export function cutText(text, most) {
  return text.length <= most ? text : `${text.slice(0, most)}… (${text.length - most} more characters)`;
}

/** Any JSON value as text. */
export function plainText(value) {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "";
  try {
    return JSON.stringify(value);
  } catch {
    return "(nested too deep to be shown)";
  }
}

const lineText = new TextDecoder("utf-8", { ignoreBOM: true });

/** The members of a line for showing it, or null; what is judged is judged elsewhere, strictly. */
export function lineMembers(line) {
  try {
    const members = JSON.parse(lineText.decode(line));
    return members !== null && typeof members === "object" && !Array.isArray(members) ? members : null;
  } catch {
    return null;
  }
}

/** The text of a line, whatever bytes it has. */
export function lineAsText(line) {
  return lineText.decode(line);
}
