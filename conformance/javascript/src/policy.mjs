// Loading a policy, which fails closed (§5, §5.1).

import { hostHazards, isToolName } from "./authority.mjs";
import { canonicalNumber, canonicalText } from "./canonical.mjs";
import { Refusal } from "./errors.mjs";
import { REORDERING, codePointName, pathSpellingHazards } from "./hazards.mjs";
import { JsonNumber } from "./json.mjs";
import { textRepr } from "./pyrepr.mjs";
import { nodeValue, readYaml } from "./yaml.mjs";

/**
 * @typedef {{name: string, description?: string, decision?: string, match: Map<string, any>,
 *   constraints?: Map<string, any>}} PolicyEntry
 * @typedef {{version: number, default: string, forbidden: PolicyEntry[], rules: PolicyEntry[]}} Policy
 */

const OUTCOMES = ["deny", "allow", "needs_approval"];
const MATCHERS = ["host", "method", "path", "path_contains"];
const METHOD_WORD = /^[A-Za-z][A-Za-z-]{0,31}$/;

/** What is found while a policy is checked; every problem is listed (§5.1-2). */
class PolicyCheck {
  constructor(place) {
    this.place = place;
    this.problems = [];
    this.names = new Map();
  }

  add(node, path, problem) {
    this.problems.push(`policy.yaml:${this.place(node.at)}: ${path === "" ? "" : `${path}: `}${problem}`);
  }

  /** The members of a mapping by name, or null; unknown and missing ones are problems. */
  members(node, path, what, known, required) {
    if (node.kind !== "map") {
      this.add(node, path, "is no mapping");
      return null;
    }
    const found = new Map();
    for (const { key, at, node: member } of node.entries) {
      if (known.includes(key)) found.set(key, member);
      else {
        const at_ = path === "" ? key : `${path}.${key}`;
        this.add({ at }, at_, `unknown ${what} ${textRepr(key)}; known: ${[...known].sort().join(", ")}`);
      }
    }
    for (const name of required) {
      if (!found.has(name)) this.add(node, path, `is missing the key '${name}'`);
    }
    return found;
  }

  list(node, path) {
    if (node === undefined) return [];
    if (node.kind === "seq") return node.items;
    this.add(node, path, "is no list");
    return [];
  }

  text(node, path, isEmptyAllowed = false) {
    if (node === undefined) return undefined;
    if (node.kind !== "scalar" || typeof node.value !== "string") this.add(node, path, "is no text; quote it");
    else if (node.value === "" && !isEmptyAllowed) this.add(node, path, "is empty");
    else return node.value;
    return undefined;
  }

  word(node, path, what, words) {
    if (node === undefined) return undefined;
    if (node.kind === "scalar" && words.includes(node.value)) return node.value;
    const given = node.kind !== "scalar" || node.value === null ? "null" : textRepr(String(node.value?.text ?? node.value));
    this.add(node, path, `unknown ${what} ${given}; use ${words.join(" or ")}`);
    return undefined;
  }

  number(node, path, isInteger) {
    if (node === undefined) return;
    if (node.kind !== "scalar" || !(node.value instanceof JsonNumber)) {
      this.add(node, path, "is no number");
      return;
    }
    const found = canonicalNumber(node.value);
    if ("problem" in found) this.add(node, path, found.problem);
    else if (found.text.startsWith("-")) this.add(node, path, "is negative");
    else if (isInteger && found.text.includes(".")) this.add(node, path, "is not whole");
  }
}

function checkMatch(check, node, path) {
  const found = check.members(node, path, "match", MATCHERS, []);
  if (found === null) return;
  if (node.entries.length === 0) check.add(node, path, `is empty; give at least one of ${MATCHERS.join(", ")}`);
  if (found.has("method")) checkMethods(check, found.get("method"), `${path}.method`);
  const host = check.text(found.get("host"), `${path}.host`);
  if (host !== undefined) checkHost(check, found.get("host"), `${path}.host`, host);
  for (const name of ["path", "path_contains"]) {
    const text = check.text(found.get(name), `${path}.${name}`);
    if (text !== undefined) checkPath(check, found.get(name), `${path}.${name}`, text, name === "path");
  }
}

function checkMethods(check, node, path) {
  const items = node.kind === "seq" ? node.items : [node];
  if (items.length === 0) check.add(node, path, "is empty; leave the key out for any method");
  for (const item of items) {
    const text = check.text(item, path);
    if (text !== undefined && !METHOD_WORD.test(text)) {
      check.add(item, path, `${textRepr(text)} is no method; a method is a word such as GET`);
    }
  }
}

// An entry that can match nothing is a slip, and in `forbidden` a dangerous one (§5.1-10).
function checkHost(check, node, path, text) {
  if (!/^[A-Za-z0-9._~:[\]-]*$/.test(text)) {
    const hint = "a host is compared whole and in ASCII, without wildcards, scheme or path";
    check.add(node, path, `${textRepr(text)} does not have the form that is wanted; ${hint}`);
    return;
  }
  const host = text.toLowerCase();
  const problems = hostHazards(text, ["80", "443"]);
  if (problems.length > 0 && !isToolName(host)) {
    check.add(node, path, `${textRepr(text)} fits no action: ${problems[0]}`);
  }
}

function checkPath(check, node, path, text, isPattern) {
  if (isPattern ? !/^[/*][^?#[\]\\]*$/.test(text) : /[?#]/.test(text)) {
    const hint = isPattern
      ? "a path begins with / or *, and only * is a wildcard: ? [ ] and \\ are refused"
      : "give the part of the path to look for; a path never contains ? or #";
    check.add(node, path, `${textRepr(text)} does not have the form that is wanted; ${hint}`);
    return;
  }
  const escaped = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]/u.exec(text);
  const spelling = pathSpellingHazards(text);
  if (escaped) {
    const instead = encodeURIComponent(escaped[0]);
    check.add(node, path, `${textRepr(text)} fits no action: ${textRepr(escaped[0])} is escaped in a path; write ${instead}`);
  } else if (spelling.length > 0) check.add(node, path, `${textRepr(text)} fits no action: ${spelling[0]}`);
}

function checkConstraints(check, node, path) {
  const found = check.members(node, path, "constraint", ["allow_list", "amount", "rate_limit"], []);
  if (found === null) return;
  if (found.has("amount")) {
    const amount = check.members(found.get("amount"), `${path}.amount`, "key", ["currency", "field", "max"], ["field"]);
    if (amount !== null) {
      check.text(amount.get("field"), `${path}.amount.field`);
      check.number(amount.get("max"), `${path}.amount.max`, false);
      check.text(amount.get("currency"), `${path}.amount.currency`);
    }
  }
  if (found.has("allow_list")) {
    const list = check.members(found.get("allow_list"), `${path}.allow_list`, "key", ["field", "in"], ["field", "in"]);
    if (list !== null) {
      check.text(list.get("field"), `${path}.allow_list.field`);
      check.list(list.get("in"), `${path}.allow_list.in`);
    }
  }
  if (found.has("rate_limit")) {
    const limit = check.members(found.get("rate_limit"), `${path}.rate_limit`, "key", ["max", "per"], ["max"]);
    if (limit !== null) {
      check.number(limit.get("max"), `${path}.rate_limit.max`, true);
      check.word(limit.get("per"), `${path}.rate_limit.per`, "window", ["minute", "hour", "day"]);
    }
  }
}

function checkEntry(check, node, path, isRule) {
  const known = isRule ? ["constraints", "decision", "description", "match", "name"] : ["description", "match", "name"];
  const found = check.members(node, path, "key", known, isRule ? ["name", "decision", "match"] : ["name", "match"]);
  if (found === null) return;
  checkName(check, found.get("name"), `${path}.name`);
  check.text(found.get("description"), `${path}.description`, true);
  if (isRule) check.word(found.get("decision"), `${path}.decision`, "decision", ["allow", "needs_approval"]);
  if (found.has("match")) checkMatch(check, found.get("match"), `${path}.match`);
  if (found.has("constraints")) checkConstraints(check, found.get("constraints"), `${path}.constraints`);
}

function checkName(check, node, path) {
  const name = check.text(node, path);
  if (name === undefined) return;
  if ([...name].length > 200) check.add(node, path, "has more than 200 characters");
  if (check.names.has(name)) {
    const first = check.place(check.names.get(name)).replace(":", " column ");
    check.add(node, path, `the name ${textRepr(name)} is taken by another rule on line ${first}; give each rule its own`);
  } else check.names.set(name, node.at);
}

/**
 * Loads a policy; throws a Refusal that lists what is wrong.
 * @param {string} text YAML, or JSON
 * @returns {Policy}
 */
export function loadPolicy(text) {
  const { node, place } = readYaml(text);
  const check = new PolicyCheck(place);
  const reordering = REORDERING.exec(text);
  if (reordering) check.add({ at: reordering.index }, "", `has ${codePointName(reordering[0])}, which reorders what is read`);
  const found = check.members(node, "", "key", ["default", "forbidden", "rules", "version"], ["default"]);
  if (found !== null) {
    check.number(found.get("version"), "version", true);
    check.word(found.get("default"), "default", "default", OUTCOMES);
    check.list(found.get("forbidden"), "forbidden").forEach((each, index) => checkEntry(check, each, `forbidden[${index}]`, false));
    check.list(found.get("rules"), "rules").forEach((each, index) => checkEntry(check, each, `rules[${index}]`, true));
  }
  const version = found?.get("version");
  if (version?.value instanceof JsonNumber && Number(version.value.text) !== 1) {
    check.add(version, "version", `is ${version.value.text}; version 1 is the only one that this program reads`);
  }
  if (check.problems.length > 0) throw new Refusal("policy", check.problems.join("\n"));
  const document = nodeValue(node);
  // The limit in size is for what agents write (§8-19); values must be within §3 all the same.
  for (const part of [...(document.get("forbidden") ?? []), ...(document.get("rules") ?? [])]) canonicalText(part);
  return {
    version: 1,
    default: document.get("default"),
    forbidden: (document.get("forbidden") ?? []).map((entry) => Object.fromEntries(entry)),
    rules: (document.get("rules") ?? []).map((entry) => Object.fromEntries(entry)),
  };
}
