// Messages to a separated broker, and the request that it sends (§2.2).

import { makeAction } from "./action.mjs";
import { readCallback } from "./callbacks.mjs";
import { canonicalText } from "./canonical.mjs";
import { Refusal } from "./errors.mjs";
import { readJson } from "./json.mjs";
import { integerOf, isHash } from "./receipts.mjs";
import { queryText, splitUrl } from "./url.mjs";

const REFUSAL_CODES = ["reconstruction_failed", "fragment_present", "token_invalid", "unsupported", "already_consumed"];
const URI_AUTHORITY = /^(?:\[[0-9a-fA-F:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=])+)(?::[0-9]*)?$/;
const URI_PATH = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/;

/**
 * The request that a broker would send for an action; refuses with the codes of §2.2.
 * @param {{method: string, url: string, instruction?: string, params_json?: string}} given
 * @param {string} [fingerprint] what the rebuilt request must have
 * @returns {{method: string, host: string, path: string, query: string, body_json: string | null}}
 */
export function planRequest(given, fingerprint) {
  if (typeof given.url === "string" && splitUrl(given.url).fragment !== null) {
    throw new Refusal("fragment_present", "the URL has a fragment, which nothing binds");
  }
  const action = rebuildable({ ...given, instruction: given.instruction ?? "" });
  const parts = splitUrl(given.url);
  const problem = rewriteProblem(action, parts);
  if (problem !== null) throw new Refusal("reconstruction_failed", problem);
  const query = queryText(action.query);
  const url = `${parts.scheme}://${action.host}${action.path}${query === "" ? "" : `?${query}`}`;
  const rebuilt = rebuildable({ ...given, instruction: given.instruction ?? "", url });
  if (rebuilt.fingerprint !== action.fingerprint || (fingerprint !== undefined && fingerprint !== rebuilt.fingerprint)) {
    throw new Refusal("reconstruction_failed", "the rebuilt request has another fingerprint");
  }
  return {
    method: action.method,
    host: action.host,
    path: action.path,
    query,
    body_json: action.params.size === 0 ? null : canonicalText(action.params),
  };
}

function rebuildable(given) {
  try {
    return makeAction(given);
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal("reconstruction_failed", error.message);
    throw error;
  }
}

function rewriteProblem(action, parts) {
  if (parts.scheme === null || !/^[A-Za-z][A-Za-z0-9+.-]*$/.test(parts.scheme)) return "the URL has no scheme";
  if (!parts.authority) return "the URL has no host";
  if (parts.authority.includes("@")) return "the URL has user information";
  if (!URI_AUTHORITY.test(parts.authority)) return "the authority has characters outside RFC 3986";
  if (!URI_PATH.test(parts.path)) return "the path has characters outside RFC 3986";
  const segments = parts.path.split("/").map((segment) => segment.replace(/%2e/gi, "."));
  if (segments.includes(".") || segments.includes("..")) return "the path has a '.' or '..' segment";
  return /^[A-Z][A-Z-]{0,31}$/.test(action.method) ? null : "the method is no word";
}

// --- messages, read strictly (§2.2-10) -------------------------------------------------------------

function readObjectMember(value, what, required, optional = {}) {
  if (!(value instanceof Map)) throw new Refusal("message", `${what} is no object`);
  for (const name of value.keys()) {
    if (!(name in required) && !(name in optional)) throw new Refusal("message", `${what} has the unknown member ${name}`);
  }
  for (const [name, isRight] of Object.entries(required)) {
    if (!value.has(name)) throw new Refusal("message", `${what} misses ${name}`);
    if (!isRight(value.get(name))) throw new Refusal("message", `${what}: ${name} is of another form`);
  }
  for (const [name, isRight] of Object.entries(optional)) {
    if (value.has(name) && !isRight(value.get(name))) throw new Refusal("message", `${what}: ${name} is of another form`);
  }
}

const isString = (value) => typeof value === "string";
const isFilled = (value) => typeof value === "string" && value !== "";
const isObject = (value) => value instanceof Map;
const isInteger = (value) => integerOf(value) !== null;
const isCount = (value) => (integerOf(value) ?? -1) >= 0;
const isPositive = (value) => (integerOf(value) ?? 0) > 0;

function readGatewayRequest(message) {
  const required = { action: isObject, intent_hash: isHash, action_fingerprint: isHash };
  readObjectMember(message, "the request", required, { authorization_token: isFilled });
  const action = message.get("action");
  readObjectMember(action, "the action", { method: isFilled, url: isFilled }, { params: isObject });
}

function readGatewayResponse(message) {
  readObjectMember(message, "the answer", { executed: (value) => typeof value === "boolean" }, { refused: isObject, upstream: isObject });
  if (message.has("refused") === message.has("upstream") || message.get("executed") !== message.has("upstream")) {
    throw new Refusal("message", "the answer is not exactly one of executed with upstream, and not executed with refused");
  }
  if (message.has("refused")) {
    readObjectMember(message.get("refused"), "refused", { code: (value) => REFUSAL_CODES.includes(value), message: isString });
    return;
  }
  const optional = { status: isInteger, result: () => true, error: isFilled };
  readObjectMember(message.get("upstream"), "upstream", {}, optional);
}

function readNotification(message) {
  const required = {
    action_summary: isFilled, approval_id: isFilled, exp: isCount, instruction: isFilled, nonce: isFilled,
    outcome: (value) => value === "needs_approval",
  }; // prettier-ignore
  const optional = { reason: isString, required_approvers: isPositive, routing_group: isFilled };
  readObjectMember(message, "the notification", required, optional);
}

const MESSAGE_READERS = {
  gateway_request: readGatewayRequest,
  gateway_response: readGatewayResponse,
  notification: readNotification,
  callback: (message, text) => readCallback(text),
};

/**
 * Reads one message strictly; throws a Refusal if it is none.
 * @param {string} kind `gateway_request`, `gateway_response`, `notification` or `callback`
 * @param {string} text
 */
export function readMessage(kind, text) {
  if (!Object.hasOwn(MESSAGE_READERS, kind)) throw new Refusal("message", `there is no kind ${kind}`);
  const message = readJson(text, { code: "message" });
  canonicalText(message); // values and size within §3
  MESSAGE_READERS[kind](message, text);
}
