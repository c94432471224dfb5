// The result in words: verdict, faults, approvals, one receipt in full.

import { byId, counted, grouped, make, shown, terms } from "./dom.mjs";

const MEANING = {
  content: "The receipt is not what was hashed: a field was changed afterwards.",
  linkage: "It does not follow the receipt before it: one was removed, inserted or moved.",
  seq: "Its place in the chain is missing, or taken twice.",
  signature: "The ledger’s key did not sign it.",
  structure: "This line is no receipt, or a member is missing, unknown or of another form.",
  head: "The chain does not have the receipt that the head or anchor names.",
  approval: "An action was released without the approvals it needs.",
};

const FAULTS_SHOWN = 200;

/** The banner and the facts of a report. */
export function showVerdict(report) {
  const { kind, title, text } = judged(report);
  const box = byId("verdict");
  box.className = kind;
  box.replaceChildren(
    make("h2", {}, title),
    make("p", {}, text),
    terms([
      ["Receipts", grouped(report.count)],
      ["From", report.firstTs],
      ["To", report.lastTs],
      ["Head found", report.head === null ? "none" : make("code", {}, report.head)],
      ["Compared with", report.wanted === null ? "nothing" : make("code", {}, report.wanted)],
      ["Anchored", anchored(report)],
      ["Key", make("code", {}, report.publicKeyHex)],
      ["File", `${report.fileName}, ${counted(report.fileBytes, "byte")}, SHA-256 ${report.fileSha256 ?? "not computed"}`],
      ["Verified", `${report.when}, in ${report.seconds.toFixed(1)} s`],
    ]),
  );
  box.hidden = false;
  document.title = `${title} – Ledger verifier`;
}

function judged(report) {
  const faults = report.problemCount + report.approvalFaults.length;
  if (faults > 0) {
    return { kind: "bad", title: `Not valid: ${counted(faults, "fault")}`, text: "What is listed under Faults does not hold. Do not rely on this ledger before it is explained." };
  }
  if (report.count === 0) {
    return { kind: "warn", title: "No receipts", text: "Nothing is wrong in an empty file, and nothing is shown by it: a ledger that was deleted looks the same." };
  }
  if (report.completeness !== "anchored") {
    return { kind: "warn", title: "Valid, as far as it goes", text: "Every receipt is sound and in its place. Without a head or an anchor it cannot be ruled out that receipts were cut off at the end." };
  }
  return { kind: "good", title: "Valid", text: report.anchoredSeq === report.headSeq ? "Every receipt is sound and in its place, and the chain ends where the head says." : "Every receipt is sound and in its place. Those behind the anchor are sound as well, but more of them may have been cut off." };
}

function anchored(report) {
  if (report.count === 0) return "nothing";
  if (report.completeness !== "anchored") return "nothing: the end of the chain is not compared with anything";
  const last = report.anchoredSeq;
  const behind = report.headSeq - last;
  return behind === 0 ? `all receipts, 0 to ${grouped(last)}` : `receipts 0 to ${grouped(last)}; ${counted(behind, "receipt")} behind it not`;
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
    table.append(make("tr", {}, make("td", {}, where), make("td", {}, make("code", {}, fault.code)), make("td", {}, fault.code === "head" || fault.code === "approval" ? fault.text : MEANING[fault.code])));
  }
  const rest = report.problemCount + report.approvalFaults.length - Math.min(all.length, FAULTS_SHOWN);
  section.querySelector(".content").replaceChildren(table, ...(rest > 0 ? [make("p", {}, `… and ${grouped(rest)} more.`)] : []));
}

/** Approvals and who signed them; `open(line)` shows the receipt of a line. */
export function showApprovals(report, open) {
  const section = byId("approvals");
  section.hidden = report.approvals.length === 0;
  if (section.hidden) return;
  const table = make("table", {}, make("tr", {}, ...["Approval", "Action", "Story", "Signatures"].map((title) => make("th", { scope: "col" }, title))));
  for (const approval of report.approvals) {
    const story = make("ul", { class: "plain" }, ...runs(approval.events).map((event) => make("li", {}, make("button", { type: "button", class: "link", onclick: () => open(event.at) }, `seq ${grouped(event.seq)}`), ` ${event.text}${event.more > 0 ? ` (and ${grouped(event.more)} more like it)` : ""}`)));
    const signed = approval.signatures.length === 0
      ? make("span", { class: `tag ${approval.released ? "unsure" : ""}` }, approval.released ? "none seen" : "–")
      : make("ul", { class: "plain" }, ...approval.signatures.map((one) => make("li", {}, make("span", { class: `tag ${one.valid ? "valid" : "invalid"}` }, one.valid ? "valid" : "not valid"), ` ${one.text}`)));
    table.append(make("tr", {}, make("td", {}, make("code", {}, approval.id)), make("td", {}, approval.summary), make("td", {}, story), make("td", {}, signed)));
  }
  const note = report.approvalsNote === "" ? [] : [make("p", { class: "note" }, report.approvalsNote)];
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
  const members = receipt.members;
  const known = members ?? {};
  const text = (name) => (known[name] === null || known[name] === undefined ? "none" : String(known[name]));
  box.replaceChildren(
    make("button", { type: "button", class: "close", onclick: close }, "Close"),
    make("h3", {}, members === null ? `Line ${grouped(receipt.line + 1)}, which is no receipt` : `Receipt ${text("seq")}`),
    ...(receipt.faults.length > 0 ? [make("ul", { class: "plain" }, ...receipt.faults.map((code) => make("li", {}, make("span", { class: "tag invalid" }, code), ` ${MEANING[code] ?? ""}`)))] : []),
    ...(members === null ? [] : [
      terms([
        ["Time", text("ts")],
        ["Phase", text("phase")],
        ["Outcome", make("span", { class: `tag ${text("outcome")}` }, text("outcome").replace("_", " "))],
        ["Rule", text("rule")],
        ["Approval", text("approval_id")],
      ]),
      make("h3", {}, "Action"), ...action(text("action_summary")),
      make("h3", {}, "Reasons"), make("ul", { class: "plain" }, ...(Array.isArray(known.reasons) ? known.reasons : []).map((reason) => make("li", {}, String(reason)))),
      terms(["intent_hash", "action_fingerprint", "prev_hash", "entry_hash", "signature"].map((name) => [name, make("code", {}, text(name))])),
      ...(known.context === undefined ? [] : [make("h3", {}, "Context, which nobody signed"), make("pre", {}, JSON.stringify(known.context, null, 2))]),
    ]),
    make("h3", {}, "The line as it stands in the export"),
    make("pre", {}, receipt.text),
  );
  box.hidden = false;
  box.focus({ preventScroll: true });
  box.scrollIntoView({ block: "nearest" });
}

function action(summary) {
  const parts = /^(\S+ \S+) (\{.*\})$/s.exec(summary);
  if (parts === null) return [make("pre", {}, summary)];
  let params = parts[2];
  try {
    params = JSON.stringify(JSON.parse(parts[2]), null, 2);
  } catch {
    // shown as it is
  }
  return [make("pre", {}, `${shown(parts[1])}\n${params}`)];
}
