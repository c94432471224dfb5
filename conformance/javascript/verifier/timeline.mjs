// The receipts as a list that may have a million rows: only what is in sight exists as elements.

import { byId, counted, grouped, make, outcomeTag, shown } from "./dom.mjs";

const ROW = 30; // pixels, as in the style
const TALLEST = 12_000_000; // pixels; browsers cut elements that are taller
const EXTRA = 8; // rows kept above and below what is in sight
const PRINTED = 500; // rows on paper

/** The list in `#rows`; `ask(from, to)` gives rows by place, `open(place)` shows one in full. */
export class Timeline {
  #box = byId("rows");
  #space = make("div", { class: "space", role: "presentation" });
  #count = 0;
  #current = 0;
  #ask;
  #open;
  #drawing = 0;

  constructor(ask, open) {
    this.#ask = ask;
    this.#open = open;
    const titles = ["seq", "time (UTC)", "phase", "outcome", "rule", "action"];
    this.#box.replaceChildren(
      make("div", { class: "titles", role: "row" }, ...titles.map((title) => make("span", { role: "columnheader" }, title))),
      this.#space,
    );
    this.#box.addEventListener("scroll", () => this.#draw());
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    this.#space.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row !== null) this.go(Number(row.dataset.place), true);
    });
    new ResizeObserver(() => this.#draw()).observe(this.#box);
  }

  /** Show this many rows from the top. */
  async reset(count) {
    this.#count = count;
    this.#current = 0;
    this.#box.setAttribute("aria-rowcount", String(count + 1));
    this.#space.style.height = `${Math.min(count * ROW, TALLEST)}px`;
    this.#space.replaceChildren(); // what stands there would be another row by now
    this.#box.scrollTop = 0;
    await this.#draw();
  }

  /** As tall as its rows, up to what the style allows. */
  fit(count) {
    this.#box.style.height = `min(34rem, ${(count + 1) * ROW + 20}px)`;
  }

  /** Make a row current and bring it into sight. */
  go(place, open = false) {
    if (this.#count === 0) return;
    this.#current = Math.min(Math.max(place, 0), this.#count - 1);
    const [first, visible] = [this.#firstInSight(), this.#inSight()];
    if (this.#current < first) this.#box.scrollTop = this.#scrollFor(this.#current);
    else if (this.#current >= first + visible) this.#box.scrollTop = this.#scrollFor(this.#current - visible + 1);
    this.#draw();
    if (open) this.#open(this.#current);
  }

  /** The first rows as a table, for paper. */
  async print(table) {
    const rows = await this.#ask(0, Math.min(PRINTED, this.#count));
    const titles = ["seq", "time (UTC)", "phase", "outcome", "rule", "action"];
    table.replaceChildren(make("thead", {}, make("tr", {}, ...titles.map((title) => make("th", {}, title)))));
    for (const row of rows) {
      const cells = [row.seq ?? `line ${row.line + 1}`, row.ts, row.phase, row.outcome, row.rule, row.summary].map(String);
      if (row.faults.length > 0) cells[5] += ` [fault: ${row.faults.join(", ")}]`;
      table.append(make("tr", {}, ...cells.map((text) => make("td", {}, text))));
    }
    if (this.#count > rows.length) table.append(make("tr", {}, make("td", { colspan: "6" }, `… and ${counted(this.#count - rows.length, "receipt")} more`)));
  }

  // Where the list would be taller than a browser can show, a pixel stands for more than its share of a row.
  get #isScaled() {
    return this.#count * ROW > TALLEST;
  }

  #inSight() {
    return Math.max(1, Math.floor(this.#box.clientHeight / ROW) - 1); // the titles take one
  }

  #farthest() {
    return Math.max(1, TALLEST + ROW - this.#box.clientHeight);
  }

  #firstInSight() {
    if (!this.#isScaled) return Math.floor(this.#box.scrollTop / ROW);
    return Math.round((Math.min(this.#box.scrollTop / this.#farthest(), 1)) * (this.#count - this.#inSight()));
  }

  #scrollFor(first) {
    if (!this.#isScaled) return first * ROW;
    return Math.round((first / (this.#count - this.#inSight())) * this.#farthest());
  }

  async #draw() {
    const turn = ++this.#drawing;
    const top = this.#firstInSight();
    const first = Math.max(0, top - EXTRA);
    const last = Math.min(this.#count, top + this.#inSight() + EXTRA);
    const base = this.#isScaled ? this.#box.scrollTop : top * ROW;
    const rows = first < last ? await this.#ask(first, last) : [];
    if (turn !== this.#drawing) return; // scrolled on meanwhile
    this.#space.replaceChildren(...rows.map((row, index) => this.#row(row, first + index, base + (first + index - top) * ROW)));
    this.#box.setAttribute("aria-activedescendant", `row-${this.#current}`);
  }

  #row(row, place, top) {
    const cells = [
      make("span", { role: "gridcell", class: "seq" }, row.seq === null ? `line ${grouped(row.line + 1)}` : grouped(row.seq)),
      make("span", { role: "gridcell" }, row.ts.replace("T", " ").replace(/(\.\d{3})\d*/, "$1").replace(/\+00:00|Z/, "")),
      make("span", { role: "gridcell" }, row.phase),
      make("span", { role: "gridcell" }, outcomeTag(row.outcome)),
      make("span", { role: "gridcell" }, row.rule),
      make("span", { role: "gridcell", title: shown(row.summary) }, row.summary),
    ];
    const element = make("div", {
      class: `row${place === this.#current ? " current" : ""}${row.faults.length > 0 ? " faulty" : ""}`,
      role: "row", id: `row-${place}`, "aria-rowindex": String(place + 2), "aria-selected": String(place === this.#current),
    }, ...cells);
    element.style.top = `${top}px`;
    element.dataset.place = String(place);
    return element;
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.#box.clientHeight / ROW) - 2);
    const moves = {
      ArrowDown: this.#current + 1, ArrowUp: this.#current - 1, PageDown: this.#current + page, PageUp: this.#current - page,
      Home: 0, End: this.#count - 1,
    };
    if (event.key in moves) this.go(moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.#open(this.#current);
    else return;
    event.preventDefault();
  }
}
