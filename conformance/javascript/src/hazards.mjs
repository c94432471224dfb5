// Hazards (§4, "Hazards"): what may be hashed but not decided, because policy, approver and server could
// read it in different ways. The codes are stable; the texts are for people.

import { trimInstruction } from "./action.mjs";
import { authorityHazards } from "./authority.mjs";
import { compareCodePoints, utf8 } from "./canonical.mjs";
import { textRepr } from "./pyrepr.mjs";
import { percentDecode, queryPairs } from "./url.mjs";

/** Characters that reorder what is read (§4, §5.1-11). */
export const REORDERING = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

const MAX_URL_CHARACTERS = 8000;
const MAX_INSTRUCTION_BYTES = 16384;
const PATH_LITERAL = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/]$/;
const QUERY_LITERAL = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/?]$/;
const STRICT_UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const SERVER_DEPENDENT = new Set(["%2F", "%25", "%5C", "%00"]);

/** @typedef {{code: string, text: string}} Hazard */

/**
 * All hazards of an action, in the order of §4-13.
 * @param {import("./action.mjs").Action} action
 * @param {string[]} [plainHttpHosts] authorities that are reached by http
 * @returns {Hazard[]}
 */
export function findHazards(action, plainHttpHosts = []) {
  const found = [];
  const characters = [...action.url].length;
  const add = (code, texts) => texts.forEach((text) => found.push({ code, text }));
  if (characters > MAX_URL_CHARACTERS) {
    add("url", [`url has ${characters} characters; at most ${MAX_URL_CHARACTERS} are allowed`]);
  }
  const where = authorityHazards(action.scheme, action.authority, plainHttpHosts);
  add("scheme", where.scheme);
  add("authority", where.authority);
  if (where.isUrl) add("path", pathHazards(action.rawPath, where.isTool));
  if (where.isUrl && action.rawQuery !== null) add("query", queryHazards(action.rawQuery));
  if (where.isUrl && action.fragment !== null) {
    add("fragment", ["fragment is never sent and not covered by an approval; leave out '#' and what follows"]);
  }
  if (!/^[A-Z][A-Z-]{0,31}$/.test(action.method)) {
    add("method", [`method ${textRepr(action.method)} is malformed; write up to 32 letters, as in GET or CALL`]);
  }
  add("instruction", instructionHazards(action.instruction));
  return found;
}

/**
 * @param {Hazard[]} hazards
 * @returns {string[]} each code once
 */
export function hazardCodes(hazards) {
  return [...new Set(hazards.map((hazard) => hazard.code))];
}

/**
 * What is wrong with one path; also asked about the paths of a policy (§5.1-10).
 * @param {string} path as written
 * @param {boolean} isTool
 * @returns {string[]}
 */
export function pathHazards(path, isTool) {
  const found = [];
  if (isTool && (path === "" || path.endsWith("/"))) {
    found.push("path names no operation at its end; write mcp://name/operation");
  }
  const segments = path.split("/").map((segment) => segment.split(";")[0].replace(/%2e/gi, "."));
  if (segments.some((segment) => segment === "." || segment === "..")) {
    found.push("path has a '.' or '..' segment; write the path it leads to");
  }
  if (path.includes("//")) found.push("path has an empty segment; write single slashes");
  return [...found, ...literalHazards("path", path, PATH_LITERAL), ...escapeHazardsOfPath(path)];
}

function literalHazards(part, text, literal) {
  const found = new Set();
  for (const character of text) {
    if (character === "%" || literal.test(character)) continue;
    if (character === "\\") found.add(`${part} has a backslash; write a slash where one is meant`);
    else if (character === " ") found.add(`${part} has a space; write %20`);
    else if (character < " " || character === "\u007f") found.add(`${part} has a control character; leave it out`);
    else if (character > "\u007f") {
      found.add(`${part} has non-ASCII characters; write their UTF-8 bytes as percent escapes`);
    } else found.add(`${part} has '${character}', which has to be escaped`);
  }
  return [...found];
}

/**
 * What is wrong with the escapes of a path, one by one.
 * @param {string} path
 * @returns {string[]}
 */
export function pathSpellingHazards(path) {
  const found = [];
  for (const [escape] of path.matchAll(/%[0-9A-Fa-f]{2}/g)) {
    if (escape !== escape.toUpperCase()) {
      found.push("path has an escape in lower case; write its hexadecimal digits in upper case");
    }
    const character = String.fromCharCode(parseInt(escape.slice(1), 16));
    if (character !== "/" && PATH_LITERAL.test(character)) {
      found.push(`path escapes a character that stands for itself; write it instead of ${escape}`);
    }
  }
  return found;
}

function escapeHazardsOfPath(path) {
  const found = pathSpellingHazards(path);
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) {
    found.push("path has '%' without two hexadecimal digits; write the escape in full");
  }
  for (const [escape] of path.matchAll(/%[0-9A-Fa-f]{2}/g)) {
    if (SERVER_DEPENDENT.has(escape.toUpperCase())) {
      found.push(`path has ${escape}, which servers decode at different times; put that value into params`);
    }
  }
  const decoded = decodeStrictly(path);
  if (decoded === null) found.push("path has escapes that are not UTF-8; write the UTF-8 bytes of the text");
  else if (/[\u0000-\u001f\u007f-\u009f]/.test(decoded)) found.push("path has an escaped control character; leave it out");
  return found;
}

function decodeStrictly(text) {
  try {
    return STRICT_UTF8.decode(percentDecode(text));
  } catch {
    return null;
  }
}

function queryHazards(query) {
  const found = literalHazards("query", query, QUERY_LITERAL);
  if (/%(?![0-9A-Fa-f]{2})/.test(query)) {
    found.push("query has '%' without two hexadecimal digits; write the escape in full");
  }
  const parts = query.split(/[&=]/).map(decodeStrictly);
  if (parts.includes(null)) found.push("query has escapes that are not UTF-8; write the UTF-8 bytes of the text");
  else if (parts.some((part) => /[\u0000-\u001f\u007f-\u009f]/.test(part))) {
    found.push("query has an escaped control character; leave it out");
  }
  const newest = new Map();
  for (const [name, value] of queryPairs(query)) {
    if (newest.has(name) && compareCodePoints(newest.get(name), value) > 0) {
      found.push(`query repeats '${name}' in an order that the fingerprint loses; sort its values`);
    }
    newest.set(name, value);
  }
  return found;
}

function instructionHazards(instruction) {
  const found = [];
  if (trimInstruction(instruction) === "") found.push("instruction is empty; write what the action is for");
  const size = utf8(instruction).length;
  if (size > MAX_INSTRUCTION_BYTES) {
    found.push(`instruction has ${size} bytes; at most ${MAX_INSTRUCTION_BYTES} are allowed`);
  }
  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/.exec(instruction);
  if (control) found.push(`instruction has the control character ${codePointName(control[0])}; leave it out`);
  const reordering = REORDERING.exec(instruction);
  if (reordering) found.push(`instruction has ${codePointName(reordering[0])}, which reorders what is read; leave it out`);
  return found;
}

/**
 * @param {string} character
 * @returns {string} as in U+202E
 */
export function codePointName(character) {
  return "U+" + character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
}
