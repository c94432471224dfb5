// What a policy says of an action (§6), and the whole decision: hazards first (§4-13).

import { canonicalNumber, compareDecimals, sameValue } from "./canonical.mjs";
import { findHazards } from "./hazards.mjs";
import { JsonNumber } from "./json.mjs";
import { numberText, textRepr, valueRepr } from "./pyrepr.mjs";

const WINDOW_SECONDS = { minute: 60, hour: 3600, day: 86400 };

/**
 * @typedef {{outcome: "allow" | "deny" | "needs_approval", rule: string | null, reasons: string[]}} Verdict
 * @typedef {{rule: string | null, age_seconds: number}[]} Allows earlier execution/allow receipts
 */

/**
 * The decision about one proposal.
 * @param {import("./policy.mjs").Policy} policy
 * @param {import("./action.mjs").Action} action
 * @param {Allows | null} allows null without a ledger to count in
 * @param {string[]} [plainHttpHosts]
 * @returns {Verdict}
 */
export function decideAction(policy, action, allows, plainHttpHosts = []) {
  const hazards = findHazards(action, plainHttpHosts);
  if (hazards.length > 0) {
    return { outcome: "deny", rule: null, reasons: hazards.map(({ code, text }) => `hazard: ${code}: ${text}`) };
  }
  return evaluatePolicy(policy, action, allows);
}

/**
 * @param {import("./policy.mjs").Policy} policy
 * @param {import("./action.mjs").Action} action
 * @param {Allows | null} allows
 * @returns {Verdict}
 */
export function evaluatePolicy(policy, action, allows) {
  for (const entry of policy.forbidden) {
    if (fitsMatch(entry.match, action)) {
      return { outcome: "deny", rule: entry.name, reasons: [`forbidden: ${entry.description || entry.name}`] };
    }
  }
  for (const rule of policy.rules) {
    if (fitsMatch(rule.match, action)) return applyRule(rule, action, allows);
  }
  return { outcome: policy.default, rule: null, reasons: [`no rule matched; default = ${policy.default}`] };
}

function fitsMatch(match, action) {
  if (match.size === 0) return false; // §5-5
  const methods = match.get("method");
  if (methods !== undefined) {
    const words = Array.isArray(methods) ? methods : [methods];
    if (!words.some((word) => word.toUpperCase() === action.method.toUpperCase())) return false;
  }
  if (match.has("host") && match.get("host").toLowerCase() !== action.host) return false;
  if (match.has("path") && !fitsGlob(match.get("path"), action.path)) return false;
  return !match.has("path_contains") || action.path.includes(match.get("path_contains"));
}

/**
 * Whether a whole path fits a pattern in which `*` and `**` stand for any text (§5-3). Linear in the path:
 * the pieces between the stars are looked for from left to right.
 * @param {string} pattern
 * @param {string} path
 * @returns {boolean}
 */
export function fitsGlob(pattern, path) {
  const pieces = pattern.split("*");
  if (pieces.length === 1) return pattern === path;
  const first = pieces.shift();
  const last = pieces.pop();
  if (path.length < first.length + last.length || !path.startsWith(first) || !path.endsWith(last)) return false;
  const end = path.length - last.length;
  let at = first.length;
  for (const piece of pieces) {
    const found = path.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}

function applyRule(rule, action, allows) {
  const constraints = rule.constraints ?? new Map();
  const reasons = [];
  const checks = [
    ["amount", (constraint) => checkAmount(constraint, action.params)],
    ["allow_list", (constraint) => checkAllowList(constraint, action.params)],
    ["rate_limit", (constraint) => checkRateLimit(constraint, rule.name, allows)],
  ];
  for (const [name, checkConstraint] of checks) {
    if (!constraints.has(name)) continue;
    const { holds, reason } = checkConstraint(constraints.get(name));
    if (!holds) return { outcome: "deny", rule: rule.name, reasons: [reason] };
    reasons.push(reason);
  }
  if (reasons.length === 0) reasons.push(`matched rule '${rule.name}'`);
  return { outcome: rule.decision, rule: rule.name, reasons };
}

// --- amount -----------------------------------------------------------------------------------------

function amountProblem(value) {
  if (value instanceof JsonNumber) return numberText(value).startsWith("-") ? "must not be negative" : null;
  if (typeof value !== "string") return "is not numeric";
  if (/^[0-9]+(?:\.[0-9]+)?$/.test(value)) return null;
  return /^[+-]?(?:inf(?:inity)?|nan)$/i.test(value) ? "is not a finite number" : "is not numeric";
}

function checkAmount(constraint, params) {
  const field = constraint.get("field");
  const fails = (reason) => ({ holds: false, reason: `amount: ${reason}` });
  if (!params.has(field)) return fails(`action is missing field '${field}'`);
  const value = params.get(field);
  const problem = amountProblem(value);
  if (problem !== null) return fails(`field '${field}'=${valueRepr(value)} ${problem}`);
  const currency = constraint.get("currency");
  if (currency !== undefined && params.get("currency") !== currency) {
    return fails(`currency ${valueRepr(params.get("currency") ?? null)} != required ${textRepr(currency)}`);
  }
  const shown = typeof value === "string" ? value : numberText(value);
  if (!constraint.has("max")) return { holds: true, reason: `amount: ${shown}, no max is set` };
  const max = numberText(constraint.get("max"));
  if (compareDecimals(shown, max) <= 0) return { holds: true, reason: `amount: ${shown} within max ${max}` };
  return fails(`${shown} exceeds max ${max}${currency === undefined ? "" : ` ${currency}`}`);
}

// --- allow_list and rate_limit ----------------------------------------------------------------------

function checkAllowList(constraint, params) {
  const field = constraint.get("field");
  const value = params.get(field) ?? null;
  const listed = constraint.get("in");
  const holds = params.has(field) && listed.some((each) => sameValue(each, value));
  const shown = `allow_list: ${field}=${valueRepr(value)}`;
  return { holds, reason: holds ? `${shown} permitted` : `${shown} not in ${valueRepr(listed)}` };
}

function checkRateLimit(constraint, rule, allows) {
  if (allows === null) return { holds: false, reason: "rate_limit: no audit log available to enforce the limit" };
  const per = constraint.get("per") ?? "hour";
  const max = Number(canonicalNumber(constraint.get("max")).text);
  const windowMicros = WINDOW_SECONDS[per] * 1e6;
  const ages = allows.filter((each) => each.rule === rule).map((each) => Math.round(each.age_seconds * 1e6));
  const newest = ages.reduce((least, age) => Math.min(least, age), 0);
  if (newest < 0) {
    const reason = `rate_limit: the newest receipt lies ${-newest / 1e6} s in the future of the clock; set the clock`;
    return { holds: false, reason };
  }
  const used = ages.filter((age) => age < windowMicros).length;
  if (used >= max) return { holds: false, reason: `rate_limit: ${used}/${max} per ${per} already used` };
  return { holds: true, reason: `rate_limit: ${used + 1}/${max} per ${per}` };
}
