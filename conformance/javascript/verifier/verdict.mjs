// The result in words: verdict, faults, approvals, one receipt in full.

import { byId, counted, grouped, make, outcomeTag, terms } from "./dom.mjs";

const MEANING = {
  content: "The receipt is not what was hashed: a field was changed afterwards.",
  linkage: "It does not follow the receipt before it: one was removed, inserted or moved.",
  seq: "Its place in the chain is missing, or taken twice.",
  signature: "The ledger’s key did not sign it.",
  structure: "This line is no receipt, or a member is missing, unknown or of another form.",
  head: "The chain does not have the receipt that the head or anchor names.",
  approval: "An action was released without the approvals it needs.",
};

const SIGNATURE = { valid: "valid", invalid: "not valid", unchecked: "not checked" };

const FAULTS_SHOWN = 200;

/** The banner and the facts of a report; `save` is called by its button. */
export function showVerdict(report, save) {
  const { kind, title, text } = judged(report);
  const box = byId("verdict");
  box.className = kind;
  box.replaceChildren(
    make("p", { id: "stale", hidden: true }, "Something above was changed since: this result is about what is named here."),
    make("h2", {}, title),
    make("p", {}, text),
    terms([
      ["Receipts", grouped(report.count)],
      ["From", report.firstTs],
      ["To", report.lastTs],
      ["Head found", report.head === null ? "none" : make("code", {}, report.head)],
      ["Compared with", compared(report)],
      ["Anchored", anchored(report)],
      ["Approvals", approved(report)],
      ["Key", make("code", {}, report.publicKeyHex)],
      ["File", make("span", {}, `${report.fileName}, ${counted(report.fileBytes, "byte")}, SHA-256 `, make("code", {}, report.fileSha256 ?? "not computed, it is large"))],
      ["Verified", `${report.when}, in ${report.seconds.toFixed(1)} s`],
    ]),
    make("button", { type: "button", class: "save", onclick: save }, "Save this result"),
  );
  box.hidden = false;
  document.title = `${title} – Ledger verifier`;
}

/** The result as a document for a file. */
export function savedReport(report) {
  const { title, text } = judged(report);
  const { approvals, rules, ruleCount, headSeq, ...facts } = report;
  return { what: "result of the delego ledger verifier page", page: byId("version").textContent, verdict: title, meaning: text, valid: isValid(report), ...facts };
}

function faultCount(report) {
  return report.problemCount + report.approvalFaultCount;
}

// As `delego verify` has it: an empty chain is never valid.
function isValid(report) {
  return faultCount(report) === 0 && report.count > 0;
}

function judged(report) {
  const faults = faultCount(report);
  if (faults > 0) {
    const isOtherKey = report.count > 0 && report.problemCount === report.count && report.problems.every(({ code }) => code === "signature");
    return {
      kind: "bad", title: `Not valid: ${counted(faults, "fault")}`,
      text: isOtherKey
        ? "Every receipt has a bad signature, and nothing else is wrong: is this the key that signed them?"
        : "What is listed under Faults does not hold. Do not rely on this ledger before it is explained.",
    };
  }
  if (report.count === 0) {
    return { kind: "warn", title: "No receipts", text: "Nothing is wrong in an empty file, and nothing is shown by it: a ledger that was deleted looks the same." };
  }
  if (report.completeness !== "anchored") {
    return { kind: "warn", title: "Valid, as far as it goes", text: "Every receipt is sound and in its place. Without a head or an anchor it cannot be ruled out that receipts were cut off at the end." };
  }
  const isWhole = report.anchoredSeq === report.headSeq;
  return { kind: "good", title: "Valid", text: isWhole ? "Every receipt is sound and in its place, and the chain ends where the head says." : "Every receipt is sound and in its place. Those behind the anchor are sound as well, but more of them may have been cut off." };
}

function compared(report) {
  const with_ = [];
  if (report.wanted !== null) with_.push(make("code", {}, report.wanted), report.meaning === "head" ? ", as its end" : ", as an anchor");
  if (report.anchorCount > 0) with_.push(`${report.wanted === null ? "" : ", and "}${counted(report.anchorCount, "anchor")} of a file`);
  return with_.length === 0 ? "nothing" : make("span", {}, ...with_);
}

function anchored(report) {
  if (report.count === 0) return "nothing";
  if (report.wanted === null && report.anchorCount === 0) return "nothing: the end of the chain is not compared with anything";
  if (report.completeness !== "anchored") return "nothing: the chain does not have what it was compared with";
  if (faultCount(report) > 0) return `seq ${grouped(report.anchoredSeq)} is in its place, but the chain has faults`;
  const behind = report.headSeq - report.anchoredSeq;
  return behind === 0 ? `all receipts, 0 to ${grouped(report.headSeq)}` : `receipts 0 to ${grouped(report.anchoredSeq)}; ${counted(behind, "receipt")} behind it not`;
}

function approved(report) {
  const released = `${counted(report.released, "action")} released under an approval`;
  if (report.approvers.length === 0) return report.released === 0 ? "no action was released under one" : `${released}; not checked, because no approver’s key was given: who said yes rests on the ledger’s word`;
  if (report.approvalFaultCount > 0) return `${released}; ${counted(report.approvalFaultCount, "fault")}`;
  return `${released}${report.released === 0 ? "" : `, each signed by at least ${report.required} of`}: ${[...new Set(report.approvers.map(({ name }) => name))].join(", ")}`.replace(/^0 actions.*$/, "no action was released under one");
}

/** The list of faults; `open(line)` shows the receipt of a line. */
export function showFaults(report, open) {
  const section = byId("faults");
  const all = [...report.problems, ...report.approvalFaults];
  section.hidden = all.length === 0;
  const table = make("table", {}, make("tr", {}, ...["Where", "Code", "What is wrong"].map((title) => make("th", { scope: "col" }, title))));
  for (const fault of all.slice(0, FAULTS_SHOWN)) {
    const place = fault.seq === undefined ? `line ${grouped(fault.line + 1)}` : `seq ${grouped(fault.seq)}`;
    const where = fault.at === undefined ? place : make("button", { type: "button", class: "link", onclick: () => open(fault.at) }, place);
    const words = fault.code === "head" || fault.code === "approval" ? [fault.text] : [MEANING[fault.code], make("small", {}, ` ${fault.text.replace(/^(?:seq|line) -?[0-9]+: /, "")}`)];
    table.append(make("tr", {}, make("td", {}, where), make("td", {}, make("code", {}, fault.code)), make("td", {}, ...words)));
  }
  const rest = faultCount(report) - Math.min(all.length, FAULTS_SHOWN);
  section.querySelector(".content").replaceChildren(table, ...(rest > 0 ? [make("p", {}, `… and ${grouped(rest)} more. In the list below, the first ${grouped(all.length)} are marked.`)] : []));
}

/** Approvals and who signed them; `open(line)` shows the receipt of a line. */
export function showApprovals(report, open) {
  const section = byId("approvals");
  section.hidden = report.approvals.length === 0;
  if (section.hidden) return;
  const table = make("table", {}, make("tr", {}, ...["Approval", "Action", "Story", "Signatures"].map((title) => make("th", { scope: "col" }, title))));
  for (const approval of report.approvals) {
    const story = make("ul", { class: "plain" }, ...runs(approval.events).map((event) => make("li", {}, make("button", { type: "button", class: "link", onclick: () => open(event.at) }, `seq ${event.seq}`), ` ${event.text}${event.more > 0 ? ` (and ${grouped(event.more)} more like it)` : ""}`)));
    if (approval.eventCount > approval.events.length) story.append(make("li", {}, `… ${grouped(approval.eventCount - approval.events.length)} more`));
    const signed = approval.signatures.length === 0
      ? make("span", { class: approval.released ? "tag unsure" : "" }, approval.released ? "none seen" : "none")
      : make("ul", { class: "plain" }, ...approval.signatures.map((one) => make("li", {}, make("span", { class: `tag ${one.state}` }, SIGNATURE[one.state]), ` ${one.text}`)));
    table.append(make("tr", {}, make("td", {}, make("code", {}, approval.id)), make("td", {}, approval.summary), make("td", {}, story), make("td", {}, signed)));
  }
  const note = report.approvers.length > 0 ? [] : [make("p", { class: "note" }, "No approver’s key was given, so that who said yes rests on the ledger’s word alone.")];
  const rest = report.approvalCount - report.approvals.length;
  section.querySelector(".content").replaceChildren(...note, table, ...(rest > 0 ? [make("p", {}, `… and ${grouped(rest)} more; filter the receipts by their id.`)] : []));
}

// Neighbours that say the same become one.
function runs(events) {
  const found = [];
  for (const event of events) {
    const last = found.at(-1);
    if (last !== undefined && last.text === event.text) last.more += 1;
    else found.push({ ...event, more: 0 });
  }
  return found;
}

/** One receipt in full. */
export function showReceipt(receipt, close) {
  const box = byId("detail");
  const { facts } = receipt;
  const fact = (name) => (facts[name] === "" ? "none" : facts[name]);
  box.replaceChildren(
    make("button", { type: "button", class: "close", onclick: close }, "Close"),
    make("h3", {}, receipt.isObject ? `Receipt ${fact("seq")}` : `Line ${grouped(receipt.line + 1)}, which is no receipt`),
    ...(receipt.faults.length > 0 ? [make("ul", { class: "plain" }, ...receipt.faults.map((code) => make("li", {}, make("span", { class: "tag invalid" }, code), ` ${MEANING[code] ?? ""}`)))] : []),
    ...(receipt.isObject ? contents(receipt, fact) : []),
    make("h3", {}, `The line as it stands in the export (line ${grouped(receipt.line + 1)})`),
    make("pre", {}, receipt.text),
  );
  box.hidden = false;
  box.focus({ preventScroll: true });
  box.scrollIntoView({ block: "nearest" });
}

function contents(receipt, fact) {
  const more = receipt.reasonCount - receipt.reasons.length;
  return [
    terms([
      ["Time", fact("ts")],
      ["Phase", fact("phase")],
      ["Outcome", outcomeTag(fact("outcome"))],
      ["Rule", fact("rule")],
      ["Approval", fact("approval_id")],
    ]),
    make("h3", {}, "Action"), make("pre", {}, laidOut(receipt.summary)),
    make("h3", {}, "Reasons"),
    make("ul", { class: "plain" }, ...receipt.reasons.map((reason) => make("li", {}, reason)), ...(more > 0 ? [make("li", {}, `… ${grouped(more)} more`)] : [])),
    terms(["intent_hash", "action_fingerprint", "prev_hash", "entry_hash", "signature"].map((name) => [name, make("code", {}, fact(name))])),
    ...(receipt.context === null ? [] : [make("h3", {}, "Context, which nobody signed"), make("pre", {}, indented(receipt.context))]),
  ];
}

function laidOut(summary) {
  const parts = /^(\S+ \S+) (\{.*\})$/s.exec(summary);
  return parts === null ? summary : `${parts[1]}\n${indented(parts[2])}`;
}

// Line breaks and blanks between the parts of a JSON text, and not one other character changed: reading and
// writing it again would drop members that stand twice, and round numbers.
function indented(json) {
  let text = "";
  let depth = 0;
  for (const [part] of json.matchAll(/"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[{}[\],:]|[^{}[\],:"]+|"/gs)) {
    if (part === "}" || part === "]") depth -= 1;
    if (depth < 0 || depth > 32) return json;
    if (part === "{" || part === "[") text += `${part}\n${"  ".repeat(++depth)}`;
    else if (part === "}" || part === "]") text += `\n${"  ".repeat(depth)}${part}`;
    else text += part === "," ? `,\n${"  ".repeat(depth)}` : part === ":" ? ": " : part;
  }
  return text;
}
