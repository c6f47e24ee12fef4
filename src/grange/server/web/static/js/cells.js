// All items of a run at once: one cell each, or one for a group where there are thousands.
//
// A canvas, because ten thousand elements would make a page slow. For those who
// don't see it, a line says what it shows, arrow keys walk through it, and the
// table of items beside it has the same in words.

import { call } from "./api.js";
import { say } from "./texts.js";
import { number } from "./words.js";

const NAMES = { w: "waiting", r: "running", f: "failed", d: "done", c: "cancelled" };
const LETTERS = { waiting: "w", running: "r", publishing: "r", failed: "f", done: "d", cancelled: "c" };
const SIZES = [[150, 20], [600, 14], [Infinity, 10]];
const GAP = 2;
// How often it is asked for anew while the run goes on: what runs is told by no event.
const SOON = 2500;
const LATER = 10_000;
const MANY = 5000;

export class Cells {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.tip = root.parentElement.querySelector("[data-tip]");
    this.run = root.dataset.run;
    this.states = [];
    this.firsts = [];
    this.at = -1;
    this.timer = 0;
    this.stale = false;
    new ResizeObserver(() => this.draw()).observe(root);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    const themes = new MutationObserver(() => this.draw());
    themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this.canvas.addEventListener("mousemove", (event) => this.hover(event));
    this.canvas.addEventListener("mouseleave", () => this.point(-1));
    this.canvas.addEventListener("click", (event) => this.open(this.cellAt(event)));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("focus", () => this.point(Math.max(0, this.at)));
    this.canvas.addEventListener("blur", () => this.point(-1));
  }

  /** Take the picture from the server. */
  async load() {
    clearTimeout(this.timer);
    this.timer = 0;
    try {
      const cells = await call("GET", `runs/${this.run}/cells`);
      this.states = [...cells.states];
      this.firsts = cells.first_ids;
      this.perCell = cells.per_cell;
      this.total = cells.total;
      this.draw();
    } catch {
      this.again();
    }
  }

  /** Items ended: recolour them at once where each has a cell of its own. */
  ended(items) {
    if (this.perCell === 1) {
      for (const item of items) {
        const index = this.indexOf(item.id);
        if (index >= 0) this.states[index] = LETTERS[item.state] ?? "d";
      }
      this.draw();
    }
    this.again();
  }

  /** Ask for the picture again before long, however often this is called. */
  again() {
    this.timer ||= setTimeout(() => this.load(), this.total > MANY ? LATER : SOON);
  }

  indexOf(id) {
    let [low, high] = [0, this.firsts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.firsts[middle] <= id) low = middle;
      else high = middle - 1;
    }
    return this.firsts[low] <= id ? low : -1;
  }

  draw() {
    if (this.drawing) return;
    this.drawing = requestAnimationFrame(() => {
      this.drawing = 0;
      this.paint();
    });
  }

  paint() {
    const width = this.root.clientWidth;
    const count = this.states.length;
    if (!width || !count) return;
    this.step = SIZES.find(([most]) => count <= most)[1] + GAP;
    this.columns = Math.max(1, Math.floor((width + GAP) / this.step));
    const height = Math.ceil(count / this.columns) * this.step;
    const ratio = devicePixelRatio || 1;
    Object.assign(this.canvas, { width: width * ratio, height: height * ratio });
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    this.colours = this.coloursNow();
    this.ink = getComputedStyle(this.root).color;
    for (let index = 0; index < count; index += 1) this.cell(pen, index);
    if (this.at >= 0) this.mark(pen);
    this.describe();
  }

  /** The sheet's colours as a canvas takes them: light or dark is decided by then. */
  coloursNow() {
    const probe = document.createElement("i");
    this.root.append(probe);
    const found = {};
    for (const [letter, name] of Object.entries(NAMES)) {
      probe.style.color = `var(--${name})`;
      found[letter] = getComputedStyle(probe).color;
    }
    probe.remove();
    return found;
  }

  cell(pen, index) {
    const letter = this.states[index];
    const side = this.step - GAP;
    const [x, y] = this.placeOf(index);
    pen.fillStyle = pen.strokeStyle = this.colours[letter] ?? this.colours.w;
    pen.beginPath();
    if (letter === "w") {
      pen.lineWidth = 1.25;
      pen.roundRect(x + 1, y + 1, side - 2, side - 2, 2);
      pen.stroke();
    } else if (letter === "r") {
      pen.arc(x + side / 2, y + side / 2, side / 2, 0, 7);
      pen.fill();
    } else if (letter === "f") {
      pen.moveTo(x + side / 2, y);
      pen.lineTo(x + side, y + side / 2);
      pen.lineTo(x + side / 2, y + side);
      pen.lineTo(x, y + side / 2);
      pen.fill();
    } else if (letter === "c") {
      pen.lineWidth = 1.25;
      pen.rect(x + 1, y + 1, side - 2, side - 2);
      pen.moveTo(x + 1, y + side / 2);
      pen.lineTo(x + side - 1, y + side / 2);
      pen.stroke();
    } else {
      pen.roundRect(x, y, side, side, 2);
      pen.fill();
    }
  }

  mark(pen) {
    const [x, y] = this.placeOf(this.at);
    pen.strokeStyle = this.ink;
    pen.lineWidth = 2;
    pen.strokeRect(x - 1, y - 1, this.step - GAP + 2, this.step - GAP + 2);
  }

  placeOf(index) {
    return [(index % this.columns) * this.step + 1, Math.floor(index / this.columns) * this.step + 1];
  }

  describe() {
    const counts = {};
    for (const letter of this.states) counts[letter] = (counts[letter] ?? 0) + 1;
    const parts = Object.entries(NAMES)
      .filter(([letter]) => counts[letter])
      .map(([letter, name]) => `${number(counts[letter])} ${say(`state.${name}`)}`);
    const key = this.perCell > 1 ? "cells.picture_of_groups" : "cells.picture";
    const many = { per: number(this.perCell), list: parts.join(", ") };
    this.canvas.setAttribute("aria-label", say(key, many));
  }

  cellAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / this.step);
    const index = Math.floor((event.clientY - box.top) / this.step) * this.columns + column;
    return column < this.columns && index < this.states.length ? index : -1;
  }

  hover(event) {
    this.point(this.cellAt(event));
  }

  /** Show which item a cell is. Its path is asked for only when somebody stays on it. */
  point(index) {
    if (index === this.at) return;
    this.at = index;
    this.draw();
    clearTimeout(this.asking);
    if (index < 0) {
      this.tip.textContent = this.tip.dataset.rest;
      return;
    }
    const state = say(`state.${NAMES[this.states[index]]}`);
    const first = index * this.perCell + 1;
    const last = Math.min(this.total, first + this.perCell - 1);
    if (this.perCell > 1) {
      const span = { first: number(first), last: number(last), state };
      this.tip.textContent = say("cells.group", span);
      return;
    }
    this.tip.textContent = say("cells.item", { number: number(first), state, path: "" });
    this.asking = setTimeout(() => this.name(index, first), 120);
  }

  async name(index, first) {
    try {
      const item = await call("GET", `runs/${this.run}/items/${this.firsts[index]}`);
      if (index !== this.at) return;
      const state = say(`state.${NAMES[LETTERS[item.state]]}`);
      const why = item.failure ? ` · ${item.failure.message}` : "";
      this.tip.textContent = say("cells.item", { number: number(first), state, path: item.path }) + why;
    } catch {
      // The number and the state stand there already.
    }
  }

  /** One item opens; a group leads to the part of the table where it begins. */
  open(index) {
    if (index < 0) return;
    const id = this.firsts[index];
    const base = `/runs/${this.run}/items`;
    location.assign(this.perCell > 1 ? `${base}?after=${id - 1}` : `${base}/${id}`);
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns };
    const last = this.states.length - 1;
    let to = null;
    if (event.key in steps) to = this.at + steps[event.key];
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = last;
    else if (event.key === "Enter") this.open(this.at);
    if (to === null) return;
    event.preventDefault();
    this.point(Math.max(0, Math.min(last, to)));
  }
}
