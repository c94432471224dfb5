// Small helpers for the page. Whatever comes out of a ledger is set as text, never as markup.

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** A new element. Strings among the children become text in which nothing hides. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children) element.append(typeof child === "string" ? shown(child) : child);
  return element;
}

/** The tag of an outcome; one that is none has no colour. */
export function outcomeTag(outcome) {
  const isKnown = ["allow", "deny", "needs_approval"].includes(outcome);
  return make("span", { class: isKnown ? `tag ${outcome}` : "tag" }, isKnown ? outcome.replace("_", " ") : outcome);
}

/** A list of terms: pairs of a name and a text or element; pairs without a value are left out. */
export function terms(pairs) {
  const list = make("dl");
  for (const [name, value] of pairs) {
    if (value !== null && value !== undefined && value !== "") list.append(make("dt", {}, name), make("dd", {}, value));
  }
  return list;
}

/** Characters that print nothing, or reorder what is read, written as code points: a ledger's text may come from an attacker. */
export function shown(text) {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu,
    (found) => `⟨U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** 1234567 as 1,234,567. */
export function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Bytes in words. */
export function sized(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const units = ["kB", "MB", "GB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** "1 receipt", "2 receipts". */
export function counted(number, noun) {
  return `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
}
