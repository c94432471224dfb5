// A strict JSON reader (§3-8). JSON.parse is of no use here: it drops members that stand twice, turns
// `2400.0` into `2400` before anybody can tell, and rounds integers beyond 2^53.
//
// Objects become Maps (so that "__proto__" is a name like any other), numbers become JsonNumber, which
// keeps their text; all else is what JSON.parse would give.

import { Refusal } from "./errors.mjs";

/** How deep arrays and objects may lie in each other (§3-6). */
export const MAX_DEPTH = 64;

/** A number as it was written. */
export class JsonNumber {
  /** @param {string} text in the grammar of JSON */
  constructor(text) {
    this.text = text;
  }

  /** Whether it is written as an integer: neither point nor exponent. */
  get isIntegerText() {
    return !/[.eE]/.test(this.text);
  }
}

/**
 * @typedef {null | boolean | string | JsonNumber | JsonValue[] | Map<string, JsonValue>} JsonValue
 */

/**
 * The path of a place in a value, as in `$.items[3].name`.
 * @param {(string | number)[]} steps
 * @returns {string}
 */
export function pathText(steps) {
  return "$" + steps.map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`)).join("");
}

/**
 * Whether a text holds half of a surrogate pair, which no UTF-8 can say.
 * @param {string} text
 * @returns {boolean}
 */
export function hasLoneSurrogate(text) {
  return /[\ud800-\udfff]/u.test(text);
}

const NUMBER_FORM = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const SIMPLE_ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/**
 * Reads one JSON text strictly.
 * @param {string} text
 * @param {{code?: string, duplicateCode?: string}} [options] the codes that refusals carry
 * @returns {JsonValue}
 */
export function readJson(text, options = {}) {
  const code = options.code ?? "json";
  const end = text.length;
  const steps = [];
  let at = 0;

  function fail(problem, withCode = code) {
    throw new Refusal(withCode, `${pathText(steps)}: ${problem}`);
  }

  function failHere(problem) {
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    fail(`${problem} at line ${line} column ${at - before.lastIndexOf("\n")}`);
  }

  function skipBlanks() {
    while (at < end) {
      const unit = text.charCodeAt(at);
      if (unit !== 0x20 && unit !== 0x0a && unit !== 0x0d && unit !== 0x09) return;
      at += 1;
    }
  }

  function readEscape() {
    const letter = text[at + 1];
    if (letter === "u") {
      const digits = text.slice(at + 2, at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) failHere("has a broken escape");
      at += 6;
      return String.fromCharCode(parseInt(digits, 16));
    }
    const plain = letter === undefined ? undefined : SIMPLE_ESCAPES[letter];
    if (plain === undefined) failHere("has a broken escape");
    at += 2;
    return plain;
  }

  function readText() {
    at += 1;
    let from = at;
    let found = "";
    let surrogates = false;
    for (;;) {
      if (at >= end) failHere("has a string without an end");
      const unit = text.charCodeAt(at);
      if (unit === 0x22) break;
      if (unit < 0x20) failHere("has a control character in a string");
      if (unit === 0x5c) {
        found += text.slice(from, at);
        const unescaped = readEscape();
        found += unescaped;
        if (unescaped >= "\ud800" && unescaped <= "\udfff") surrogates = true;
        from = at;
      } else {
        if (unit >= 0xd800 && unit <= 0xdfff) surrogates = true;
        at += 1;
      }
    }
    found = from === at && found !== "" ? found : found + text.slice(from, at);
    at += 1;
    if (surrogates && hasLoneSurrogate(found)) fail("contains a lone surrogate");
    return found;
  }

  function readObject() {
    const found = new Map();
    at += 1;
    skipBlanks();
    if (text[at] === "}") {
      at += 1;
      return found;
    }
    for (;;) {
      if (text[at] !== '"') failHere("misses the name of a member");
      const name = readText();
      if (found.has(name)) fail(`has the member ${JSON.stringify(name)} twice`, options.duplicateCode ?? code);
      skipBlanks();
      if (text[at] !== ":") failHere("misses a colon");
      at += 1;
      steps.push(name);
      found.set(name, readValue());
      steps.pop();
      skipBlanks();
      if (text[at] === "}") break;
      if (text[at] !== ",") failHere("misses a comma");
      at += 1;
      skipBlanks();
    }
    at += 1;
    return found;
  }

  function readArray() {
    const found = [];
    at += 1;
    skipBlanks();
    if (text[at] === "]") {
      at += 1;
      return found;
    }
    for (;;) {
      steps.push(found.length);
      found.push(readValue());
      steps.pop();
      skipBlanks();
      if (text[at] === "]") break;
      if (text[at] !== ",") failHere("misses a comma");
      at += 1;
    }
    at += 1;
    return found;
  }

  function readNumber() {
    NUMBER_FORM.lastIndex = at;
    const match = NUMBER_FORM.exec(text);
    if (match === null) failHere("is no JSON");
    at += match[0].length;
    return new JsonNumber(match[0]);
  }

  function readWord(word, value) {
    if (!text.startsWith(word, at)) failHere("is no JSON");
    at += word.length;
    return value;
  }

  function readValue() {
    skipBlanks();
    const first = text[at];
    if (first === '"') return readText();
    if (first === "{" || first === "[") {
      if (steps.length >= MAX_DEPTH) fail(`is nested deeper than ${MAX_DEPTH}`);
      return first === "{" ? readObject() : readArray();
    }
    if (first === "t") return readWord("true", true);
    if (first === "f") return readWord("false", false);
    if (first === "n") return readWord("null", null);
    if (text.startsWith("NaN", at)) fail("contains NaN, which is not JSON");
    if (text.startsWith("Infinity", at) || text.startsWith("-Infinity", at)) fail("contains Infinity, which is not JSON");
    return readNumber();
  }

  if (text.charCodeAt(0) === 0xfeff) fail("begins with a byte order mark");
  const value = readValue();
  skipBlanks();
  if (at < end) failHere("has something after its end");
  return value;
}

/**
 * Turns what JSON.parse gave (in requests of the kit, where spelling does not matter) into a JsonValue.
 * @param {unknown} plain
 * @returns {JsonValue}
 */
export function fromPlain(plain) {
  if (typeof plain === "number") return new JsonNumber(String(plain));
  if (Array.isArray(plain)) return plain.map(fromPlain);
  if (plain !== null && typeof plain === "object") {
    return new Map(Object.entries(plain).map(([name, value]) => [name, fromPlain(value)]));
  }
  return plain;
}

/**
 * The plain JavaScript value of a JsonValue, for answers to the kit.
 * @param {JsonValue} value
 * @returns {unknown}
 */
export function toPlain(value) {
  if (value instanceof JsonNumber) return Number(value.text);
  if (Array.isArray(value)) return value.map(toPlain);
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, each]) => [name, toPlain(each)]));
  return value;
}
