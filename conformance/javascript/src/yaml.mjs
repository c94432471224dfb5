// YAML 1.2 core with the values of JSON, as far as a policy needs it (§5.1-4, §5.1-5): block and flow
// collections, plain, quoted and block scalars, comments. JSON is a subset. Anchors, aliases, tags, merge
// keys, directives, complex keys and a second document are refused, and so is whatever two YAML readers
// might read differently. This module has the collections; yaml-scalars.mjs has the scalars.

import { Refusal } from "./errors.mjs";
import { MAX_DEPTH } from "./json.mjs";
import { YamlText, resolvePlain } from "./yaml-scalars.mjs";

/**
 * @typedef {{kind: "map" | "seq" | "scalar", at: number,
 *   entries?: {key: string, at: number, node: YamlNode}[], items?: YamlNode[],
 *   value?: import("./json.mjs").JsonValue}} YamlNode
 */

/** Reads one document; `place` turns an offset into "line:column". */
export class YamlReader extends YamlText {
  /** @returns {YamlNode} */
  readDocument() {
    this.skipToContent();
    if (this.startsLineWith("%")) this.fail("has a directive; leave it out");
    if (this.isMarker("---")) this.skipDocumentStart();
    const node = this.atEnd() || this.isMarker("...") ? this.emptyNode() : this.readBlockNode(-1, 0);
    this.skipToContent();
    if (this.isMarker("...")) {
      this.at += 3;
      this.skipToContent();
    }
    if (this.isMarker("---")) this.fail("has a second document; write one");
    if (!this.atEnd()) this.fail("has something here that does not belong to what is before it");
    return node;
  }

  skipDocumentStart() {
    this.at += 3;
    this.skipToContent();
    if (this.column() === 0) return;
    const start = this.at;
    if (!this.atEnd() && (this.isDash() || this.tryKey() !== null)) this.fail("has a collection on the line of '---'");
    this.at = start;
  }

  emptyNode(at = this.at) {
    return { kind: "scalar", at, value: null };
  }

  checkDepth(depth) {
    if (depth >= MAX_DEPTH) this.fail(`is nested deeper than ${MAX_DEPTH}`);
  }

  isDash() {
    return this.text[this.at] === "-" && this.isBlankAt(this.at + 1);
  }

  /** A node that begins here, in a column greater than `indent`. */
  readBlockNode(indent, depth) {
    const column = this.column();
    if (this.isDash()) return this.readBlockSequence(column, depth);
    if (this.text[this.at] === "?" && this.isBlankAt(this.at + 1)) this.fail("has a complex key; write a plain one");
    const start = this.at;
    const key = this.tryKey();
    this.at = start;
    if (key !== null) return this.readBlockMapping(column, depth);
    return this.readInline(indent, depth);
  }

  /** A scalar or flow collection that begins here; in the block style it has to end its line. */
  readInline(indent, depth) {
    const first = this.text[this.at];
    this.refuseIndicators();
    let node;
    if (first === "[" || first === "{") node = this.readFlow(depth);
    else if (first === "|" || first === ">") return this.readBlockScalar(indent);
    else if (first === '"' || first === "'") node = { kind: "scalar", at: this.at, value: this.readQuoted(indent) };
    else {
      const at = this.at;
      node = { kind: "scalar", at, value: this.resolve(this.readPlain(indent), at) };
    }
    this.demandLineEnd();
    return node;
  }

  resolve(text, at) {
    const found = resolvePlain(text);
    if ("problem" in found) this.fail(found.problem, at);
    return found.value;
  }

  /** An implicit key and its colon, all on this line; null if there is none. */
  tryKey() {
    const first = this.text[this.at];
    if (first === "[" || first === "{" || first === "|" || first === ">" || first === "#") return null;
    const at = this.at;
    const lineEnd = this.lineEnd();
    let key;
    if (first === '"' || first === "'") {
      const quoted = this.readQuoted(-1);
      if (this.at > lineEnd) return null;
      key = quoted;
    } else {
      if ("&*!".includes(first)) this.refuseIndicators();
      const text = this.readPlainLine();
      if (text === "") return null;
      key = text;
    }
    this.skipSpaces();
    if (this.text[this.at] !== ":" || !this.isBlankAt(this.at + 1)) return null;
    this.at += 1;
    return this.plainKey(key, at, first);
  }

  plainKey(key, at, first) {
    if (first === '"' || first === "'") return { key, at };
    if (key === "<<") this.fail("has a merge key; write the members out", at);
    const found = resolvePlain(key);
    if ("problem" in found || typeof found.value !== "string") this.fail(`has the key ${key}, which is no text; quote it`, at);
    return { key, at };
  }

  readBlockMapping(column, depth) {
    this.checkDepth(depth);
    const node = { kind: "map", at: this.at, entries: [] };
    const seen = new Map();
    while (!this.atEnd() && this.column() === column && !this.isAnyMarker()) {
      const key = this.isDash() ? null : this.tryKey();
      if (key === null) this.fail("misses a key and a colon");
      this.refuseDuplicate(seen, key);
      node.entries.push({ key: key.key, at: key.at, node: this.readMappingValue(column, depth) });
      this.skipToContent();
    }
    this.demandOutdent(column);
    return node;
  }

  refuseDuplicate(seen, { key, at }) {
    if (seen.has(key)) this.fail(`key '${key}' is given twice, first on line ${this.place(seen.get(key)).replace(":", " column ")}`, at);
    seen.set(key, at);
  }

  demandOutdent(column) {
    if (!this.atEnd() && this.column() > column) this.fail("is indented further than what it belongs to");
  }

  readMappingValue(column, depth) {
    this.skipSpaces();
    if (!this.atLineEnd()) {
      if (this.isDash()) this.fail("has a list on the line of its key; begin a new line");
      return this.readInline(column, depth + 1);
    }
    const at = this.at;
    this.skipToContent();
    if (this.atEnd() || this.isAnyMarker()) return this.emptyNode(at);
    const here = this.column();
    if (here > column) return this.readBlockNode(column, depth + 1);
    if (here === column && this.isDash()) return this.readBlockSequence(column, depth + 1);
    return this.emptyNode(at);
  }

  readBlockSequence(column, depth) {
    this.checkDepth(depth);
    const node = { kind: "seq", at: this.at, items: [] };
    while (!this.atEnd() && this.column() === column && this.isDash() && !this.isAnyMarker()) {
      this.at += 1;
      const at = this.at;
      this.skipSpaces();
      if (this.text.slice(at, this.at).includes("\t")) this.fail("has a tab after '-'; write a space", at);
      if (!this.atLineEnd()) node.items.push(this.readBlockNode(column, depth + 1));
      else {
        this.skipToContent();
        const isInside = !this.atEnd() && this.column() > column;
        node.items.push(isInside ? this.readBlockNode(column, depth + 1) : this.emptyNode(at));
      }
      this.skipToContent();
    }
    this.demandOutdent(column);
    return node;
  }

  // --- flow style, which is also JSON ---------------------------------------------------------------

  readFlow(depth) {
    this.checkDepth(depth);
    const isMap = this.text[this.at] === "{";
    const node = isMap ? { kind: "map", at: this.at, entries: [] } : { kind: "seq", at: this.at, items: [] };
    const close = isMap ? "}" : "]";
    const seen = new Map();
    this.at += 1;
    for (;;) {
      this.skipFlowBlanks();
      if (this.text[this.at] === close) break;
      if (isMap) this.readFlowEntry(node, seen, depth);
      else node.items.push(this.readFlowItem(depth + 1));
      this.skipFlowBlanks();
      if (this.text[this.at] === close) break;
      if (this.text[this.at] !== ",") this.fail(`misses a comma or ${close}`);
      this.at += 1;
    }
    this.at += 1;
    return node;
  }

  readFlowEntry(node, seen, depth) {
    const at = this.at;
    const first = this.text[at];
    if (first === "[" || first === "{") this.fail("has a collection as a key; write a text");
    if (first === "?" && this.isBlankAt(at + 1)) this.fail("has a complex key; write a plain one");
    this.refuseIndicators();
    const isQuoted = first === '"' || first === "'";
    const text = isQuoted ? this.readQuoted(-1) : this.readFlowPlain();
    const key = this.plainKey(text, at, first);
    this.refuseDuplicate(seen, key);
    this.skipFlowBlanks();
    let value = this.emptyNode(at);
    if (this.text[this.at] === ":") {
      if (!isQuoted && !this.isFlowBreakAt(this.at + 1)) this.fail("misses a space after the colon");
      this.at += 1;
      this.skipFlowBlanks();
      value = ",}".includes(this.text[this.at] ?? " ") ? this.emptyNode() : this.readFlowNode(depth + 1);
    }
    node.entries.push({ key: key.key, at, node: value });
  }

  /** An item of a list, which may be a single pair: `[a: b]` is `[{a: b}]`. */
  readFlowItem(depth) {
    const at = this.at;
    const node = this.readFlowNode(depth);
    this.skipFlowBlanks();
    if (this.text[this.at] !== ":") return node;
    this.checkDepth(depth);
    const pair = { kind: "map", at, entries: [] };
    this.at = at;
    this.readFlowEntry(pair, new Map(), depth);
    return pair;
  }

  readFlowNode(depth) {
    const at = this.at;
    const first = this.text[at];
    this.refuseIndicators();
    let node;
    if (first === "[" || first === "{") return this.readFlow(depth);
    if (first === '"' || first === "'") node = { kind: "scalar", at, value: this.readQuoted(-1) };
    else node = { kind: "scalar", at, value: this.resolve(this.readFlowPlain(), at) };
    return node;
  }
}

/**
 * The JsonValue of a node.
 * @param {YamlNode} node
 * @returns {import("./json.mjs").JsonValue}
 */
export function nodeValue(node) {
  if (node.kind === "map") return new Map(node.entries.map((entry) => [entry.key, nodeValue(entry.node)]));
  if (node.kind === "seq") return node.items.map(nodeValue);
  return node.value;
}

/**
 * Reads YAML text of one document.
 * @param {string} text
 * @returns {{node: YamlNode, place: (at: number) => string}}
 */
export function readYaml(text) {
  if (typeof text !== "string") throw new Refusal("policy", "is no text");
  const reader = new YamlReader(text.replace(/\r\n?/g, "\n"));
  const node = reader.readDocument();
  return { node, place: (at) => reader.place(at) };
}
