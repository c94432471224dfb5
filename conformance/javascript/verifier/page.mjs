// The page: takes what the auditor hands in, lets the worker verify it, shows what it says.

import { byId, counted, grouped, make, shown, sized } from "./dom.mjs";
import { readApprovers, readHead, readKey, recognise } from "./inputs.mjs";
import { Timeline } from "./timeline.mjs";
import { savedReport, showApprovals, showFaults, showReceipt, showVerdict } from "./verdict.mjs";

const RESULTS = ["verdict", "faults", "approvals", "timeline", "detail"];

let ledgerFile = null;
let ledgerIsGzip = false;
let evidenceFile = null;
let anchors = []; // of an anchor file
let changes = 0; // of what is handed in, so that a result can say that it is about something else
let worker = null;
let questions = new Map();
let nextQuestion = 1;

const timeline = new Timeline((from, to) => ask("rows", { from, to }).catch(failed([])), (place) => openReceipt("receipt", { place }));

function startWorker() {
  worker?.terminate();
  rejectAll("stopped");
  const source = new Blob([byId("worker").textContent], { type: "text/javascript" });
  const url = URL.createObjectURL(source);
  worker = new Worker(url);
  URL.revokeObjectURL(url);
  worker.addEventListener("message", (event) => {
    const { id, answer, problem, progress } = event.data;
    if (progress !== undefined) {
      showProgress(progress);
      return;
    }
    const question = questions.get(id);
    questions.delete(id);
    if (problem === undefined) question?.resolve(answer);
    else question?.reject(new Error(problem));
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    rejectAll(event.message || "the verifier stopped");
  });
}

function rejectAll(why) {
  for (const { reject } of questions.values()) reject(new Error(why));
  questions = new Map();
}

function ask(what, rest = {}) {
  return new Promise((resolve, reject) => {
    const id = nextQuestion++;
    questions.set(id, { resolve, reject });
    worker.postMessage({ id, ask: what, ...rest });
  });
}

// What to do where an answer cannot be had: say why, and go on with this value.
function failed(value) {
  return (error) => {
    if (error.message !== "stopped") hint(`That cannot be shown: ${error.message}`, true);
    return value;
  };
}

function hint(text, bad = false) {
  byId("hint").textContent = shown(text);
  byId("hint").className = bad ? "bad" : "";
}

function showProgress({ done, total, receipts, unpacked }) {
  if (unpacked !== undefined) {
    byId("bar").removeAttribute("value");
    byId("progress-text").textContent = `unpacking, ${sized(unpacked)}`;
    return;
  }
  byId("bar").value = total === 0 ? 1 : done / total;
  byId("progress-text").textContent = `${counted(receipts, "receipt")}, ${sized(done)} of ${sized(total)}`;
}

function changed() {
  changes += 1;
  const note = document.getElementById("stale");
  if (note !== null) note.hidden = false;
}

// --- what is handed in ------------------------------------------------------------------------------------

async function takeFiles(files) {
  changed();
  const said = [];
  const keys = [];
  let ledgers = 0;
  for (const file of files) {
    let found;
    try {
      found = await recognise(file);
    } catch (error) {
      said.push(`${file.name} cannot be taken: ${error instanceof DOMException ? "it cannot be read as a file" : error.message}`);
      continue;
    }
    if (found.kind === "ledger" || found.kind === "gzip") {
      ledgers += 1;
      ledgerFile = file;
      ledgerIsGzip = found.kind === "gzip";
      setFile("ledger", `${file.name}, ${sized(file.size)}`);
    } else if (found.kind === "evidence") {
      evidenceFile = file;
      setFile("evidence", `${file.name}, ${sized(file.size)}`);
    } else if (found.kind === "anchors") {
      anchors = found.anchors;
      setFile("anchors", `${file.name}, ${counted(anchors.length, "anchor")}, the newest at seq ${grouped(anchors.at(-1).split(":")[0])}`);
    } else if (found.kind === "head") fill("head", found.head, file.name, said);
    else if (found.kind === "key") keys.push({ ...found, fileName: file.name });
    else said.push(`${file.name} is not recognised: neither an export, a key, a head, anchors nor evidence`);
  }
  if (ledgers > 1) said.push(`${ledgers} exports at once: ${ledgerFile.name} is the one that is taken`);
  takeKeys(keys, said);
  hint(said.join("\n"), said.length > 0);
}

// The key named ledger is the ledger's. One of another name is, too, if it comes alone and nothing else is
// there yet; all others are approvers'.
function takeKeys(keys, said) {
  const isAlone = keys.length === 1 && byId("key").value.trim() === "" && byId("approvers").value.trim() === "" && !/approver/i.test(keys[0].name);
  for (const { name, publicKeyHex, fileName } of keys) {
    if (name === "ledger" || isAlone) fill("key", publicKeyHex, fileName, said);
    else addApprover(name, publicKeyHex, fileName, said);
  }
}

// Never over what is there: files come from whoever sent the export, what was typed in from somebody else.
function fill(id, value, fileName, said) {
  const there = byId(id).value.trim();
  if (there === "") byId(id).value = value;
  else if ((id === "key" ? readKey(there) : there) !== value) said.push(`${fileName} is not taken: it differs from what stands there. Empty the field first if the file is right`);
}

function addApprover(name, publicKeyHex, fileName, said) {
  const box = byId("approvers");
  const lines = box.value.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (lines.includes(`${name} ${publicKeyHex}`)) return;
  if (lines.some((line) => line.startsWith(`${name} `))) said.push(`${fileName} is not taken: ${name} has another key already`);
  else box.value = [...lines, `${name} ${publicKeyHex}`].join("\n");
}

function setFile(id, text) {
  byId(id).textContent = shown(text);
  byId(id).className = "";
}

function startOver() {
  startWorker();
  byId("inputs").reset();
  [ledgerFile, ledgerIsGzip, evidenceFile, anchors] = [null, false, null, []];
  for (const [id, text] of [["ledger", "none yet"], ["evidence", "none"], ["anchors", "none"]]) {
    byId(id).textContent = text;
    byId(id).className = "none";
  }
  hideResults();
  hint("");
  byId("files").focus();
}

function hideResults() {
  for (const id of RESULTS) byId(id).hidden = true;
  document.title = "Ledger verifier";
}

function readInputs() {
  if (ledgerFile === null) throw new Error("Choose a ledger export first.");
  const publicKeyHex = readKey(byId("key").value);
  if (publicKeyHex === null) throw new Error("The ledger’s public key has 64 lower-case hexadecimal digits.");
  const wanted = byId("head").value.trim();
  const head = wanted === "" ? null : readHead(wanted);
  if (wanted !== "" && head === null) throw new Error("A head is written SEQ:HASH, with 64 lower-case hexadecimal digits.");
  const required = Number(byId("required").value);
  if (!Number.isInteger(required) || required < 1) throw new Error("At least one approver is needed.");
  const approvers = readApprovers(byId("approvers").value);
  const both = approvers.find((one) => one.publicKeyHex === publicKeyHex);
  if (both !== undefined) throw new Error(`The key of ${both.name} is the ledger’s own: whoever writes the ledger could say yes in that name.`);
  return {
    file: ledgerFile, gzip: ledgerIsGzip, publicKeyHex, head, required, evidence: evidenceFile, anchors,
    meaning: document.querySelector("input[name=meaning]:checked").value, approvers,
  };
}

// --- verifying, and what comes of it ----------------------------------------------------------------------

async function verify() {
  let wanted;
  try {
    wanted = readInputs();
  } catch (error) {
    hint(error.message, true);
    return;
  }
  const before = changes;
  hint("");
  hideResults();
  working(true);
  showProgress({ done: 0, total: wanted.file.size, receipts: 0 });
  startWorker();
  try {
    await show(await ask("verify", wanted));
    if (before !== changes) changed();
  } catch (error) {
    hideResults(); // half a result could be read as a whole one
    hint(error.message === "stopped" ? "Stopped." : `It could not be verified: ${error.message}`, error.message !== "stopped");
  } finally {
    working(false);
  }
}

function working(is) {
  byId("progress").hidden = !is;
  byId("stop").hidden = !is;
  byId("verify").disabled = is;
}

async function show(report) {
  const open = (at) => openReceipt("line", { at });
  showVerdict(report, () => save(report));
  showFaults(report, open);
  showApprovals(report, open);
  const options = report.rules.map(({ id, name }) => make("option", { value: String(id) }, name === "" ? "(empty)" : name));
  if (report.ruleCount > options.length) options.push(make("option", { disabled: true }, `… ${grouped(report.ruleCount - options.length)} more: search for their text`));
  byId("filters").elements.rule.replaceChildren(make("option", { value: "" }, "all"), ...options);
  byId("filters").reset();
  byId("timeline").hidden = report.count === 0;
  byId("shown-count").textContent = counted(report.count, "receipt");
  timeline.fit(report.count);
  await timeline.reset(report.count);
  await timeline.print(byId("printed"));
  byId("result").focus({ preventScroll: true });
  byId("verdict").scrollIntoView({ block: "nearest" });
}

function save(report) {
  // In ASCII: a ledger's text may hold what a terminal obeys.
  const text = JSON.stringify(savedReport(report), null, 2).replace(/[^\n\x20-\x7e]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const file = new Blob([`${text}\n`], { type: "application/json" });
  const url = URL.createObjectURL(file);
  make("a", { href: url, download: `verification of ${report.fileName}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

async function openReceipt(what, rest) {
  const receipt = await ask(what, rest).catch(failed(null));
  if (receipt !== null) showReceipt(receipt, closeReceipt);
}

function closeReceipt() {
  byId("detail").hidden = true;
  byId("rows").focus();
}

async function applyFilters() {
  const { outcome, phase, rule, text, faulty } = byId("filters").elements;
  byId("shown-count").textContent = "looking …";
  const wanted = { outcome: outcome.value, phase: phase.value, rule: rule.value, text: text.value, faulty: faulty.checked };
  const { count } = await ask("filter", wanted).catch(failed({ count: null }));
  if (count === null) return;
  await timeline.reset(count);
  byId("shown-count").textContent = `${grouped(count)} found`;
  await timeline.print(byId("printed"));
}

let waiting = 0;

function start() {
  byId("files").addEventListener("change", async (event) => {
    const files = [...event.target.files];
    event.target.value = "";
    await takeFiles(files);
  });
  byId("inputs").addEventListener("input", (event) => {
    if (event.target.id !== "files") changed();
  });
  byId("inputs").addEventListener("submit", (event) => {
    event.preventDefault();
    verify();
  });
  byId("stop").addEventListener("click", startWorker);
  byId("over").addEventListener("click", startOver);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(applyFilters, event.target.name === "text" ? 250 : 0);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("detail").hidden) closeReceipt();
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    takeFiles([...event.dataTransfer.files]);
  });
}

start();
