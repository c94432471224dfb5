// The page: takes what the auditor hands in, lets the worker verify it, shows what it says.

import { byId, counted, grouped, make, sized } from "./dom.mjs";
import { readApprovers, readHead, readKey, recognise } from "./inputs.mjs";
import { Timeline } from "./timeline.mjs";
import { showApprovals, showFaults, showReceipt, showVerdict } from "./verdict.mjs";

let ledgerFile = null;
let ledgerIsGzip = false;
let evidenceFile = null;
let worker = null;
let questions = new Map();
let nextQuestion = 1;

const timeline = new Timeline((from, to) => ask("rows", { from, to }), async (place) => openReceipt(await ask("receipt", { place })));

function startWorker() {
  worker?.terminate();
  for (const { reject } of questions.values()) reject(new Error("stopped"));
  questions = new Map();
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
    for (const { reject } of questions.values()) reject(new Error(event.message || "the verifier stopped"));
    questions = new Map();
  });
}

function ask(what, rest = {}) {
  return new Promise((resolve, reject) => {
    const id = nextQuestion++;
    questions.set(id, { resolve, reject });
    worker.postMessage({ id, ask: what, ...rest });
  });
}

function hint(text, bad = false) {
  byId("hint").textContent = text;
  byId("hint").className = bad ? "bad" : "";
}

function showProgress({ done, total, receipts }) {
  byId("bar").value = total === 0 ? 1 : done / total;
  byId("progress-text").textContent = `${counted(receipts, "receipt")}, ${sized(done)} of ${sized(total)}`;
}

async function takeFiles(files) {
  const unknown = [];
  for (const file of files) {
    const found = await recognise(file);
    if (found.kind === "ledger" || found.kind === "gzip") {
      ledgerFile = file;
      ledgerIsGzip = found.kind === "gzip";
      setFile("ledger", file);
    } else if (found.kind === "evidence") {
      evidenceFile = file;
      setFile("evidence", file);
    } else if (found.kind === "anchors") byId("head").value = found.anchor;
    else if (found.kind === "key") takeKey(found);
    else unknown.push(file.name);
  }
  hint(unknown.length > 0 ? `Not recognised: ${unknown.join(", ")}` : "", unknown.length > 0);
}

// A key is the ledger's if there is none yet and its name does not say otherwise; else it is an approver's.
function takeKey({ name, publicKeyHex }) {
  if (name === "ledger" || (byId("key").value.trim() === "" && !/approver/i.test(name) && byId("approvers").value.trim() === "")) {
    byId("key").value = publicKeyHex;
    return;
  }
  const box = byId("approvers");
  if (!box.value.includes(publicKeyHex)) box.value = `${box.value.trimEnd()}${box.value.trim() === "" ? "" : "\n"}${name} ${publicKeyHex}`;
}

function setFile(id, file) {
  byId(id).textContent = `${file.name}, ${sized(file.size)}`;
  byId(id).className = "";
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
  return {
    file: ledgerFile, gzip: ledgerIsGzip, publicKeyHex, head, required, evidence: evidenceFile,
    meaning: document.querySelector("input[name=meaning]:checked").value, approvers: readApprovers(byId("approvers").value),
  };
}

async function verify() {
  let wanted;
  try {
    wanted = readInputs();
  } catch (error) {
    hint(error.message, true);
    return;
  }
  hint("");
  for (const id of ["verdict", "faults", "approvals", "timeline", "detail"]) byId(id).hidden = true;
  working(true);
  showProgress({ done: 0, total: wanted.file.size, receipts: 0 });
  startWorker();
  try {
    await show(await ask("verify", wanted));
  } catch (error) {
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
  const open = async (at) => openReceipt(await ask("line", { at }));
  showVerdict(report);
  showFaults(report, open);
  showApprovals(report, open);
  const rules = byId("filters").elements.rule;
  rules.replaceChildren(make("option", { value: "" }, "all"), ...report.rules.map((name) => make("option", { value: name }, name)));
  byId("filters").reset();
  byId("timeline").hidden = report.count === 0;
  byId("matches").textContent = counted(report.count, "receipt");
  await timeline.reset(report.count);
  await timeline.print(byId("printed"));
  byId("result").focus({ preventScroll: true });
  byId("verdict").scrollIntoView({ block: "nearest" });
}

function openReceipt(receipt) {
  showReceipt(receipt, () => {
    byId("detail").hidden = true;
    byId("rows").focus();
  });
}

async function applyFilters() {
  const { outcome, phase, rule, text, faulty } = byId("filters").elements;
  byId("matches").textContent = "looking …";
  const { count } = await ask("filter", { outcome: outcome.value, phase: phase.value, rule: rule.value, text: text.value, faulty: faulty.checked });
  if (count === null) return;
  byId("matches").textContent = `${grouped(count)} found`;
  await timeline.reset(count);
  await timeline.print(byId("printed"));
}

let waiting = 0;

function start() {
  byId("files").addEventListener("change", async (event) => {
    await takeFiles(event.target.files);
    event.target.value = "";
  });
  byId("inputs").addEventListener("submit", (event) => {
    event.preventDefault();
    verify();
  });
  byId("stop").addEventListener("click", startWorker);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(applyFilters, event.target.name === "text" ? 250 : 0);
  });
  byId("detail").addEventListener("keydown", (event) => {
    if (event.key === "Escape") byId("detail").querySelector(".close").click();
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
    takeFiles(event.dataTransfer.files);
  });
}

start();
