// Canonical JSON and H(x) (§3).

import { Refusal } from "./errors.mjs";
import { JsonNumber, MAX_DEPTH, hasLoneSurrogate, pathText } from "./json.mjs";
import { sha256Hex } from "./sha256.mjs";

/** How many bytes of canonical text one hash may cover (§3-6). */
export const MAX_CANONICAL_BYTES = 256 * 1024;

const UTF8 = new TextEncoder();

/**
 * @param {string} text without lone surrogates
 * @returns {Uint8Array}
 */
export function utf8(text) {
  return UTF8.encode(text);
}

/**
 * Compares two texts by code point; JavaScript's own order is by UTF-16 unit.
 * @param {string} left
 * @param {string} right
 * @returns {number} below 0, 0 or above 0
 */
export function compareCodePoints(left, right) {
  const shorter = Math.min(left.length, right.length);
  for (let at = 0; at < shorter; at += 1) {
    const one = left.charCodeAt(at);
    const other = right.charCodeAt(at);
    if (one !== other) return unitRank(one) - unitRank(other);
  }
  return left.length - right.length;
}

// A surrogate begins a code point above U+FFFF, so it ranks above every other unit.
function unitRank(unit) {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/**
 * The canonical text of a number, or the problem with it (§3-2 to §3-4).
 * @param {JsonNumber} number
 * @returns {{text: string} | {problem: string}}
 */
export function canonicalNumber(number) {
  if (number.isIntegerText) {
    const exact = BigInt(number.text);
    if (exact > 9007199254740991n || exact < -9007199254740991n) {
      return { problem: "is an integer beyond 2^53-1; send a string" };
    }
    return { text: exact.toString() };
  }
  const value = Number(number.text);
  if (!Number.isFinite(value)) return { problem: "is a number beyond every float; send a string" };
  if (Number.isSafeInteger(value)) return { text: String(value + 0) };
  if (Number.isInteger(value)) return { problem: "is a whole number beyond 2^53-1; send a string" };
  if (Math.abs(value) < 0.0001) return { problem: `is the float ${number.text}, below 0.0001 in size; send a string` };
  return { text: String(value) };
}

/**
 * Compares two numbers in plain decimal digits exactly (§5-8).
 * @param {string} left without a sign
 * @param {string} right without a sign
 * @returns {number} below 0, 0 or above 0
 */
export function compareDecimals(left, right) {
  const [[leftWhole, leftPart = ""], [rightWhole, rightPart = ""]] = [left.split("."), right.split(".")];
  const width = Math.max(leftPart.length, rightPart.length);
  const one = BigInt(leftWhole + leftPart.padEnd(width, "0"));
  const other = BigInt(rightWhole + rightPart.padEnd(width, "0"));
  return one < other ? -1 : one > other ? 1 : 0;
}

/**
 * The names of an object in canonical order, or null where the two orders differ (§3-5).
 * @param {Map<string, unknown>} object
 * @returns {string[] | null}
 */
export function sortedNames(object) {
  const names = [...object.keys()].sort();
  if (names.some((name) => /[\ud800-\udfff]/.test(name))) {
    for (let at = 1; at < names.length; at += 1) {
      if (compareCodePoints(names[at - 1], names[at]) > 0) return null;
    }
  }
  return names;
}

function refuseValue(steps, problem) {
  throw new Refusal("canonical", `${pathText(steps)}: ${problem}`);
}

// `steps` is the way to the value; it is one array for the whole walk, because most walks find nothing.
function canonicalAt(value, steps) {
  if (typeof value === "string") {
    if (hasLoneSurrogate(value)) refuseValue(steps, "contains a lone surrogate");
    return JSON.stringify(value);
  }
  if (value === null || value === true || value === false) return String(value);
  if (value instanceof JsonNumber) {
    const found = canonicalNumber(value);
    if ("problem" in found) refuseValue(steps, found.problem);
    return found.text;
  }
  if (steps.length >= MAX_DEPTH) refuseValue(steps, `is nested deeper than ${MAX_DEPTH}`);
  return Array.isArray(value) ? canonicalArray(value, steps) : canonicalObject(value, steps);
}

function canonicalArray(value, steps) {
  let text = "[";
  for (let index = 0; index < value.length; index += 1) {
    steps.push(index);
    text += (index === 0 ? "" : ",") + canonicalAt(value[index], steps);
    steps.pop();
  }
  return `${text}]`;
}

function canonicalObject(value, steps) {
  const names = sortedNames(value);
  if (names === null) {
    refuseValue(steps, "has keys that sort differently by code point and by UTF-16 unit; rename one of them");
  }
  let text = "{";
  for (const name of names) {
    if (hasLoneSurrogate(name)) refuseValue(steps, "has a name with a lone surrogate");
    steps.push(name);
    text += `${text === "{" ? "" : ","}${JSON.stringify(name)}:${canonicalAt(value.get(name), steps)}`;
    steps.pop();
  }
  return `${text}}`;
}

/**
 * Throws a Refusal for a value that §3 refuses, whatever its size.
 * @param {import("./json.mjs").JsonValue} value
 */
export function demandCanonical(value) {
  canonicalAt(value, []);
}

/**
 * The canonical text of a value; throws a Refusal for what §3 refuses.
 * @param {import("./json.mjs").JsonValue} value
 * @returns {string}
 */
export function canonicalText(value) {
  const text = canonicalAt(value, []);
  // No character is more than three bytes for one unit, so most texts need not be encoded to be measured.
  if (text.length * 3 > MAX_CANONICAL_BYTES && utf8(text).length > MAX_CANONICAL_BYTES) {
    throw new Refusal("canonical", "$: is more than 256 KiB of canonical text");
  }
  return text;
}

/**
 * H(x): the SHA-256 of the canonical bytes, in hexadecimal.
 * @param {import("./json.mjs").JsonValue} value
 * @returns {string}
 */
export function hashOf(value) {
  return sha256Hex(utf8(canonicalText(value)));
}

/**
 * Whether two values are one value: the same type and value at every depth (§5-10).
 * @param {import("./json.mjs").JsonValue} left
 * @param {import("./json.mjs").JsonValue} right
 * @returns {boolean}
 */
export function sameValue(left, right) {
  return canonicalText(left) === canonicalText(right);
}
