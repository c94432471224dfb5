#!/usr/bin/env node
// An adapter for the delego conformance kit, to be filled in; docs/kit-protocol.md describes the operations.
//
//     delego-conformance run -- node adapter.mjs
//
// One JSON request per line comes in, one JSON reply per line goes out. Call your own code where "yours" stands.

import { createHash } from "node:crypto";

const HELLO = {
  protocol: 1,
  implementation: { name: "my-authorizer", version: "0.0.0", language: "JavaScript", url: "" },
  spec: ["0.3"],
  roles: ["authorizer"], // of authorizer, broker, auditor: what is claimed is judged
  features: [],
};

// The input must not be accepted, and the implementation says so.
class Refusal extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// Yours: this one loses numbers that JavaScript rounds and members that stand twice.
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

const OPERATIONS = {
  hello: () => HELLO,
  canonicalize({ json }) {
    let value;
    try {
      value = JSON.parse(json);
    } catch (error) {
      throw new Refusal("not_json", error.message);
    }
    return { canonical: canonical(value) };
  },
  intent_hash({ instruction }) {
    const preimage = canonical({ instruction: instruction.trim() }); // yours: trim() takes off more than the protocol does
    return { intent_hash: createHash("sha256").update(preimage).digest("hex") };
  },
  bye: () => ({}),
};

async function replyTo({ op, args, ctx }) {
  if (!Object.hasOwn(OPERATIONS, op)) return { unsupported: { feature: op } };
  try {
    return { ok: await OPERATIONS[op](args, ctx) };
  } catch (error) {
    if (error instanceof Refusal) return { refused: { code: error.code, message: error.message } };
    return { error: { message: String(error) } }; // a crash is not a refusal
  }
}

let rest = Buffer.alloc(0); // node:readline would also split lines on U+2028
requests: for await (const chunk of process.stdin) {
  rest = Buffer.concat([rest, chunk]);
  for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
    const request = JSON.parse(rest.subarray(0, end).toString("utf8"));
    rest = rest.subarray(end + 1);
    process.stdout.write(JSON.stringify({ id: request.id, ...(await replyTo(request)) }) + "\n");
    if (request.op === "bye") break requests;
  }
}
