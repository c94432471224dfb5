// The text of a YAML document and its scalars; yaml.mjs has the collections.

import { canonicalNumber, compareDecimals } from "./canonical.mjs";
import { Refusal } from "./errors.mjs";
import { JsonNumber, hasLoneSurrogate } from "./json.mjs";

const WORDS = new Map([
  ["", null], ["~", null], ["null", null], ["Null", null], ["NULL", null],
  ["true", true], ["True", true], ["TRUE", true],
  ["false", false], ["False", false], ["FALSE", false],
]); // prettier-ignore
const JSON_NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/;
// What YAML 1.2 core takes for a number in another spelling.
const OTHER_NUMBER = /^0o[0-7]+$|^0x[0-9a-fA-F]+$|^[-+]?(?:[0-9]+|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))$|^\.(?:nan|NaN|NAN)$/;
const DOUBLE_ESCAPES = {
  0: "\0", a: "\u0007", b: "\b", t: "\t", "\t": "\t", n: "\n", v: "\u000b", f: "\f", r: "\r", e: "\u001b",
  " ": " ", '"': '"', "/": "/", "\\": "\\", N: "\u0085", _: "\u00a0", L: "\u2028", P: "\u2029",
}; // prettier-ignore
const HEX_ESCAPES = { x: 2, u: 4, U: 8 };

/**
 * The value of a plain scalar (§5.1-4, §5.1-13).
 * @param {string} text
 * @returns {{value: import("./json.mjs").JsonValue} | {problem: string}}
 */
export function resolvePlain(text) {
  if (WORDS.has(text)) return { value: WORDS.get(text) };
  if (JSON_NUMBER.test(text)) return resolveNumber(new JsonNumber(text));
  if (OTHER_NUMBER.test(text)) return { problem: `'${text}' is read differently by different programs; write it as JSON does, or quote it` };
  return { value: text };
}

// What a double does not keep would be another limit than the one that was written.
function resolveNumber(number) {
  const found = canonicalNumber(number);
  const digits = (text) => text.replace("-", "");
  if ("text" in found && compareDecimals(digits(found.text), digits(number.text)) !== 0) {
    return { problem: `'${number.text}' has more digits than a number keeps; write ${found.text} or quote it` };
  }
  return { value: number };
}

/** A text with a position in it, and the scalars that may begin there. */
export class YamlText {
  /** @param {string} text with LF as the only line break */
  constructor(text) {
    this.text = text;
    this.at = 0;
    const unprinted = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/.exec(text);
    if (unprinted) this.fail("has a character that does not print, or ends a line for some readers only; write it as an escape", unprinted.index);
    if (hasLoneSurrogate(text)) this.fail("contains a lone surrogate");
  }

  place(at) {
    const before = this.text.slice(0, at);
    return `${before.split("\n").length}:${[...before.slice(before.lastIndexOf("\n") + 1)].length + 1}`;
  }

  fail(problem, at = this.at) {
    throw new Refusal("policy", `${this.place(at)}: ${problem}`);
  }

  atEnd() {
    return this.at >= this.text.length;
  }

  column() {
    return this.at - (this.text.lastIndexOf("\n", this.at - 1) + 1);
  }

  lineEnd() {
    const end = this.text.indexOf("\n", this.at);
    return end < 0 ? this.text.length : end;
  }

  isBlankAt(at) {
    return at >= this.text.length || " \t\n".includes(this.text[at]);
  }

  isFlowBreakAt(at) {
    return this.isBlankAt(at) || ",[]{}".includes(this.text[at]);
  }

  startsLineWith(text) {
    return this.column() === 0 && this.text.startsWith(text, this.at);
  }

  isMarker(marker) {
    return this.startsLineWith(marker) && this.isBlankAt(this.at + 3);
  }

  isAnyMarker() {
    return this.isMarker("---") || this.isMarker("...");
  }

  skipSpaces() {
    while (this.text[this.at] === " " || this.text[this.at] === "\t") this.at += 1;
  }

  atLineEnd() {
    return this.atEnd() || this.text[this.at] === "\n" || this.isComment();
  }

  isComment() {
    return this.text[this.at] === "#" && (this.at === 0 || this.isBlankAt(this.at - 1));
  }

  /** Skips blanks, comments and empty lines, up to the next content. */
  skipToContent() {
    for (;;) {
      const lineStart = this.column() === 0 ? this.at : -1;
      this.skipSpaces();
      if (this.isComment()) this.at = this.lineEnd();
      if (this.text[this.at] === "\n") this.at += 1;
      else {
        if (lineStart >= 0 && !this.atEnd() && this.text.slice(lineStart, this.at).includes("\t")) {
          this.fail("is indented with a tab; write spaces", lineStart);
        }
        return;
      }
    }
  }

  skipFlowBlanks() {
    for (;;) {
      while (!this.atEnd() && this.isBlankAt(this.at)) this.at += 1;
      if (this.atEnd() || this.isAnyMarker()) this.fail("has a collection without an end");
      if (!this.isComment()) return;
      this.at = this.lineEnd();
    }
  }

  demandLineEnd() {
    this.skipSpaces();
    if (!this.atLineEnd()) this.fail("has something after the end of a value");
  }

  refuseIndicators() {
    const first = this.text[this.at];
    const word = /^[^\s,[\]{}]*/.exec(this.text.slice(this.at))[0];
    if (first === "&") this.fail(`has the anchor ${word}; leave it out`);
    if (first === "*") this.fail(`has the alias ${word}; write the value out`);
    if (first === "!") this.fail(`has the tag ${word}; leave it out`);
    if (first !== undefined && "%@`".includes(first)) this.fail(`begins with ${first}; quote it`);
  }

  // --- plain scalars ---------------------------------------------------------------------------------

  beginsPlain(isFlow) {
    const first = this.text[this.at];
    if (isFlow && "?:".includes(first)) return false; // allowed by YAML 1.2, but not every reader takes it
    if ("-?:".includes(first)) return !(isFlow ? this.isFlowBreakAt(this.at + 1) : this.isBlankAt(this.at + 1));
    return !",[]{}#&*!|>'\"%@`".includes(first);
  }

  /** The part of a plain scalar on this line; empty if none begins here. */
  readPlainLine(isFlow = false, isFirst = true) {
    if (this.atEnd() || (isFirst && !this.beginsPlain(isFlow))) return "";
    const from = this.at;
    while (!this.atEnd() && this.text[this.at] !== "\n" && !this.isComment()) {
      const unit = this.text[this.at];
      if (isFlow && ",[]{}".includes(unit)) break;
      if (unit === ":" && (isFlow ? this.isFlowBreakAt(this.at + 1) : this.isBlankAt(this.at + 1))) break;
      this.at += 1;
    }
    const found = this.text.slice(from, this.at).replace(/[ \t]+$/, "");
    this.at = from + found.length;
    return found;
  }

  readPlain(indent) {
    let found = this.readPlainLine();
    if (found === "") this.fail("has no value that can be read here; quote it");
    for (;;) {
      const after = this.at;
      this.skipSpaces();
      if (this.text[this.at] === ":") this.fail("has a second key on this line; quote the value");
      if (this.text[this.at] !== "\n") {
        this.at = after;
        return found;
      }
      const breaks = this.skipBreaks();
      if (this.atEnd() || this.column() <= indent || this.isComment() || this.isAnyMarker()) {
        this.at = after;
        return found;
      }
      found += this.foldedBreaks(breaks) + this.readPlainLine(false, false);
    }
  }

  readFlowPlain() {
    let found = this.readPlainLine(true);
    if (found === "") this.fail("has no value that can be read here; quote it");
    for (;;) {
      const after = this.at;
      this.skipSpaces();
      if (this.text[this.at] !== "\n") {
        this.at = after;
        return found;
      }
      const breaks = this.skipBreaks();
      const more = this.isComment() || this.isAnyMarker() ? "" : this.readPlainLine(true, false);
      if (more === "") {
        this.at = after;
        return found;
      }
      found += this.foldedBreaks(breaks) + more;
    }
  }

  skipBreaks() {
    let breaks = 0;
    while (this.text[this.at] === "\n") {
      breaks += 1;
      this.at += 1;
      this.skipSpaces();
    }
    return breaks;
  }

  foldedBreaks(breaks) {
    return breaks === 1 ? " " : "\n".repeat(breaks - 1);
  }

  // --- quoted scalars --------------------------------------------------------------------------------

  readQuoted(indent) {
    const quote = this.text[this.at];
    const start = this.at;
    let found = "";
    this.at += 1;
    for (;;) {
      if (this.atEnd()) this.fail("has a quoted text without an end", start);
      const unit = this.text[this.at];
      if (unit === quote) {
        if (quote === '"' || this.text[this.at + 1] !== "'") break;
        found += "'";
        this.at += 2;
      } else if (unit === "\n") {
        found = found.slice(0, this.trimmedLength(found, start)) + this.foldedBreaks(this.skipBreaks());
        if (this.column() <= indent || this.isAnyMarker()) this.fail("is indented less than what it belongs to");
      } else if (unit === "\\" && quote === '"') {
        found += this.readDoubleEscape();
      } else {
        found += unit;
        this.at += 1;
      }
    }
    this.at += 1;
    if (hasLoneSurrogate(found)) this.fail("contains a lone surrogate", start);
    return found;
  }

  // Blanks before a line break are dropped, but not those that were written as escapes.
  trimmedLength(found, start) {
    let at = this.at;
    let length = found.length;
    while (at > start + 1 && " \t".includes(this.text[at - 1]) && this.text[at - 2] !== "\\" && length > 0) {
      at -= 1;
      length -= 1;
    }
    return length;
  }

  readDoubleEscape() {
    const letter = this.text[this.at + 1];
    if (letter === "\n") {
      this.at += 1;
      const breaks = this.skipBreaks();
      return "\n".repeat(breaks - 1);
    }
    const length = letter === undefined ? undefined : HEX_ESCAPES[letter];
    if (length !== undefined) {
      const digits = this.text.slice(this.at + 2, this.at + 2 + length);
      const point = parseInt(digits, 16);
      if (!/^[0-9a-fA-F]+$/.test(digits) || digits.length !== length || point > 0x10ffff) this.fail("has a broken escape");
      this.at += 2 + length;
      return String.fromCodePoint(point);
    }
    const plain = letter === undefined ? undefined : DOUBLE_ESCAPES[letter];
    if (plain === undefined) this.fail("has a broken escape");
    this.at += 2;
    return plain;
  }

  // --- block scalars ---------------------------------------------------------------------------------

  readBlockScalar(indent) {
    const at = this.at;
    const header = /^([|>])([1-9]?[-+]?|[-+][1-9])[ \t]*(?:[ \t]#[^\n]*)?(?:\n|$)/.exec(this.text.slice(at));
    if (header === null) this.fail("has a block text whose first line cannot be read");
    this.at += header[0].length;
    const digit = /[1-9]/.exec(header[2]);
    const lines = this.takeBlockLines(Math.max(indent, -1), digit ? Math.max(indent, 0) + Number(digit[0]) : null);
    let last = lines.length;
    while (last > 0 && lines[last - 1] === "") last -= 1;
    const kept = lines.slice(0, last);
    const body = header[1] === "|" ? kept.join("\n") : foldBlockLines(kept);
    const trailing = header[2].includes("+") ? "\n".repeat(lines.length - last + (last > 0 ? 1 : 0)) : last > 0 && !header[2].includes("-") ? "\n" : "";
    return { kind: "scalar", at, value: body + trailing };
  }

  takeBlockLines(parent, given) {
    const lines = [];
    let width = given;
    while (!this.atEnd()) {
      const end = this.lineEnd();
      const line = this.text.slice(this.at, end);
      const spaces = /^ */.exec(line)[0].length;
      if (spaces < line.length) {
        if (width === null) {
          if (spaces <= parent) break;
          width = spaces;
        }
        if (spaces < width || this.isAnyMarker()) break;
      }
      lines.push(line.slice(width ?? line.length));
      this.at = Math.min(end + 1, this.text.length);
    }
    return lines;
  }
}

// Single breaks between lines of text become spaces; lines that begin with a blank keep theirs.
function foldBlockLines(lines) {
  let found = "";
  let breaks = 0;
  lines.forEach((line, index) => {
    if (index > 0) breaks += 1;
    if (line === "" && index < lines.length - 1) return;
    if (breaks > 0) {
      const before = lines.slice(0, index).findLast((each) => each !== "");
      const isKept = /^[ \t]/.test(line) || (before !== undefined && /^[ \t]/.test(before)) || before === undefined;
      found += isKept ? "\n".repeat(breaks) : breaks === 1 ? " " : "\n".repeat(breaks - 1);
      breaks = 0;
    }
    found += line;
  });
  return found;
}
