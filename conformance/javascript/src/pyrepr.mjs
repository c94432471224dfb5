// Values as reasons spell them: as Python's repr does (§6). Reasons are compared word for word.

import { canonicalNumber, compareCodePoints } from "./canonical.mjs";
import { JsonNumber } from "./json.mjs";

// What Python does not print as itself: controls, formats, surrogates, private use, unassigned, separators.
const UNPRINTED = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Zs}]/u;
const NAMED_ESCAPES = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function hexEscape(character) {
  const point = character.codePointAt(0);
  if (point <= 0xff) return "\\x" + point.toString(16).padStart(2, "0");
  if (point <= 0xffff) return "\\u" + point.toString(16).padStart(4, "0");
  return "\\U" + point.toString(16).padStart(8, "0");
}

/**
 * A text in quotes, as Python writes it.
 * @param {string} text
 * @returns {string}
 */
export function textRepr(text) {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let shown = "";
  for (const character of text) {
    if (character === quote) shown += "\\" + quote;
    else if (character in NAMED_ESCAPES) shown += NAMED_ESCAPES[character];
    else if (character !== " " && UNPRINTED.test(character)) shown += hexEscape(character);
    else shown += character;
  }
  return quote + shown + quote;
}

/**
 * @param {import("./json.mjs").JsonValue} value
 * @returns {string}
 */
export function valueRepr(value) {
  if (typeof value === "string") return textRepr(value);
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (value instanceof JsonNumber) return numberText(value);
  if (Array.isArray(value)) return `[${value.map(valueRepr).join(", ")}]`;
  const names = [...value.keys()].sort(compareCodePoints);
  return `{${names.map((name) => `${textRepr(name)}: ${valueRepr(value.get(name))}`).join(", ")}}`;
}

/**
 * A number that is known to be canonical, in plain decimal digits.
 * @param {JsonNumber} number
 * @returns {string}
 */
export function numberText(number) {
  const found = canonicalNumber(number);
  return "text" in found ? found.text : number.text;
}
