#!/usr/bin/env node
// The kit protocol over standard input and output: one request a line, one reply a line.

import { boundParts, intentHash, makeAction, readParams } from "./src/action.mjs";
import { resolveApproval } from "./src/approvals.mjs";
import { bytesFromBase64 } from "./src/base64.mjs";
import { verifyCallback } from "./src/callbacks.mjs";
import { canonicalText } from "./src/canonical.mjs";
import { LineSplitter, createChainVerifier } from "./src/chain.mjs";
import { bytesFromHex, loadPublicKey, verifyEd25519 } from "./src/ed25519.mjs";
import { Refusal } from "./src/errors.mjs";
import { decideAction } from "./src/evaluate.mjs";
import { planRequest, readMessage } from "./src/gateway.mjs";
import { findHazards, hazardCodes } from "./src/hazards.mjs";
import { fromPlain, readJson, toPlain } from "./src/json.mjs";
import { loadPolicy } from "./src/policy.mjs";
import { buildReceipt } from "./src/receipts.mjs";
import { readTime } from "./src/times.mjs";
import { mintToken, verifyToken } from "./src/tokens.mjs";

const HELLO = {
  protocol: 1,
  implementation: {
    name: "delego-javascript",
    version: "0.1.0",
    language: `JavaScript (Node ${process.versions.node})`,
    url: "",
  },
  spec: ["0.3", "0.2"],
  roles: ["authorizer", "broker", "auditor"],
  features: ["spec-0.2"],
};

const OPERATIONS = {
  hello: () => HELLO,
  bye: () => ({}),
  canonicalize: ({ json }) => ({ canonical: canonicalText(readJson(json)) }),
  intent_hash: ({ instruction }) => ({ intent_hash: intentHash(instruction) }),
  fingerprint: ({ method, url, params_json }, ctx) => ({
    action_fingerprint: boundParts(method, url, readParams(params_json), ctx.spec === "0.2").fingerprint,
  }),
  hazards: ({ action, plain_http_hosts }) => ({ codes: hazardCodes(findHazards(makeAction(action), plain_http_hosts)) }),
  policy_load({ policy_text }) {
    loadPolicy(policy_text);
    return {};
  },
  decide: ({ policy_text, action, allows, plain_http_hosts }) =>
    decideAction(loadPolicy(policy_text), makeAction(action), allows ?? null, plain_http_hosts),
  resolve: ({ approval_id, approval, action }, ctx) => resolveApproval(approval_id, approval, makeAction(action), ctx.now),
  receipt_build: ({ payload, seed_hex }) => buildReceipt(fromPlain(payload), seed_hex),
  chain_verify: verifyChain,
  ed25519_verify: verifySignature,
  token_mint: async ({ claims, seed_hex, kid }) => ({ token: await mintToken(fromPlain(claims), seed_hex, kid) }),
  token_verify: checkToken,
  broker_plan: ({ action, action_fingerprint }) => planRequest(action, action_fingerprint),
  callback_verify: checkCallback,
  message_read({ kind, json }) {
    readMessage(kind, json);
    return {};
  },
};

async function verifyChain({ jsonl_b64, public_key_hex, expected_head, anchor }) {
  const bytes = bytesFromBase64(jsonl_b64);
  if (bytes === null) throw new Refusal("jsonl_b64", "is no base64");
  const verifier = await createChainVerifier({ publicKeyHex: public_key_hex, expectedHead: expected_head, anchor });
  const splitter = new LineSplitter();
  await verifier.push([...splitter.split(bytes), ...splitter.end()]);
  const { valid, completeness, problems } = await verifier.finish();
  return { valid, completeness, problems: problems.map(({ text, at, ...problem }) => problem) };
}

async function verifySignature({ public_key_hex, message_hex, signature_hex }) {
  const [message, signature] = [bytesFromHex(message_hex), bytesFromHex(signature_hex)];
  try {
    const key = await loadPublicKey(public_key_hex);
    return { valid: message !== null && signature !== null && (await verifyEd25519(key, message, signature)) };
  } catch (error) {
    if (error instanceof Refusal) return { valid: false };
    throw error;
  }
}

async function checkToken({ token, keys, audience, leeway, issuer, seen_jti, consumed_cns, action }, ctx) {
  const own = { keys, audience, leeway, issuer, nowSeconds: readTime(ctx.now).seconds, seenJti: seen_jti, consumedCns: consumed_cns };
  if (action !== undefined) own.fingerprint = boundParts(action.method, action.url, readParams(action.params_json)).fingerprint;
  return { claims: toPlain(await verifyToken(token, own)) };
}

async function checkCallback(args, ctx) {
  const { decision, evidenceDigest } = await verifyCallback(args.callback_json, {
    keys: args.keys,
    approvalId: args.approval_id,
    nonce: args.nonce,
    actionFingerprint: args.action_fingerprint,
    intentHash: args.intent_hash,
    displayHash: args.display_hash,
    exp: args.exp,
    now: ctx.now,
  });
  return { decision, evidence_digest: evidenceDigest };
}

async function reply({ id, op, args, ctx }) {
  if (!Object.hasOwn(OPERATIONS, op)) return { id, unsupported: { feature: op } };
  try {
    return { id, ok: await OPERATIONS[op](args ?? {}, ctx ?? {}) };
  } catch (error) {
    if (error instanceof Refusal) return { id, refused: { code: error.code, message: error.message } };
    return { id, error: { message: String(error?.stack ?? error) } };
  }
}

async function main() {
  const splitter = new LineSplitter(); // node:readline would also split on U+2028
  for await (const chunk of process.stdin) {
    for (const line of splitter.split(chunk)) {
      const request = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
      process.stdout.write(JSON.stringify(await reply(request)) + "\n");
      if (request.op === "bye") return;
    }
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
