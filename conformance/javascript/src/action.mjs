// An action and its two hashes (§4).

import { canonicalText, hashOf } from "./canonical.mjs";
import { Refusal } from "./errors.mjs";
import { hasLoneSurrogate, readJson } from "./json.mjs";
import { canonicalQuery, queryText, splitUrl } from "./url.mjs";

// The 24 code points that Python, JavaScript and White_Space agree on (§4-5).
const TRIMMED = "[\\u0009-\\u000d\\u0020\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const TRIM_START = new RegExp(`^${TRIMMED}`);
const DISPUTED_ENDS = /^[\u001c-\u001f\u0085\ufeff]|[\u001c-\u001f\u0085\ufeff]$/;

/**
 * @typedef {{instruction: string, method: string, url: string,
 *   params: Map<string, import("./json.mjs").JsonValue>,
 *   scheme: string | null, authority: string | null, host: string, path: string, rawPath: string,
 *   rawQuery: string | null, query: [string, string][], fragment: string | null,
 *   fingerprint: string, intentHash: string, summary: string}} Action
 */

/**
 * TRIM (§4-5); refuses the ends on which languages differ (§4-6).
 * @param {string} instruction
 * @returns {string}
 */
export function trimInstruction(instruction) {
  // From the end, a regular expression would look at every blank of the text anew.
  let end = instruction.length;
  while (end > 0 && TRIM_START.test(instruction[end - 1])) end -= 1;
  const trimmed = instruction.slice(0, end).replace(TRIM_START, "");
  if (DISPUTED_ENDS.test(trimmed)) {
    const problem = "begins or ends with U+001C–1F, U+0085 or U+FEFF, which not everybody trims; remove it";
    throw new Refusal("action", `instruction: ${problem}`);
  }
  return trimmed;
}

/**
 * @param {string} instruction
 * @returns {string} `intent_hash` (§4-3)
 */
export function intentHash(instruction) {
  return hashOf(new Map([["instruction", trimInstruction(instruction)]]));
}

/**
 * The method in upper case, if it is all ASCII (§4-7).
 * @param {string} method
 * @returns {string}
 */
export function upperMethod(method) {
  return /^[\u0000-\u007f]*$/.test(method) ? method.toUpperCase() : method;
}

/**
 * @param {string | undefined} paramsJson JSON text; absent is `{}`
 * @returns {Map<string, import("./json.mjs").JsonValue>}
 */
export function readParams(paramsJson) {
  if (paramsJson === undefined) return new Map();
  const params = readJson(paramsJson, { code: "action" });
  if (!(params instanceof Map)) throw new Refusal("action", "params: is no object; leave it out or write {}");
  return params;
}

function demandString(value, name) {
  if (typeof value !== "string") throw new Refusal("action", `${name}: is no string`);
  if (hasLoneSurrogate(value)) throw new Refusal("action", `${name}: contains a lone surrogate`);
  return value;
}

/**
 * The part of an action that its fingerprint binds.
 * @param {string} method
 * @param {string} url
 * @param {Map<string, import("./json.mjs").JsonValue>} params
 * @param {boolean} [legacy] the preimage of wire versions up to 0.2 (§4-12)
 */
export function boundParts(method, url, params, legacy = false) {
  const parts = splitUrl(demandString(url, "url"));
  const upper = upperMethod(demandString(method, "method"));
  const host = (parts.authority ?? "").toLowerCase();
  const path = parts.path === "" ? "/" : parts.path;
  const query = canonicalQuery(parts.query);
  const preimage = new Map([["host", host], ["method", upper], ["params", params], ["path", path]]);
  if (!legacy) preimage.set("query", query);
  return { parts, method: upper, host, path, query, fingerprint: hashOf(preimage) };
}

/**
 * Makes an action; throws a Refusal for what is none (§4-1, §4-2).
 * @param {{instruction: string, method: string, url: string, params_json?: string}} given
 * @returns {Action}
 */
export function makeAction(given) {
  const params = readParams(given.params_json);
  const instruction = demandString(given.instruction, "instruction");
  const bound = boundParts(given.method, given.url, params);
  return {
    instruction,
    method: bound.method,
    url: given.url,
    params,
    scheme: bound.parts.scheme,
    authority: bound.parts.authority,
    host: bound.host,
    path: bound.path,
    rawPath: bound.parts.path,
    rawQuery: bound.parts.query,
    query: bound.query,
    fragment: bound.parts.fragment,
    fingerprint: bound.fingerprint,
    intentHash: intentHash(instruction),
    summary: summaryText(bound.method, bound.host, bound.path, bound.query, params),
  };
}

function summaryText(method, host, path, query, params) {
  const shownQuery = query.length === 0 ? "" : `?${queryText(query)}`;
  const shownParams = params.size === 0 ? "" : ` ${canonicalText(params)}`;
  return `${method} ${host}${path}${shownQuery}${shownParams}`;
}
