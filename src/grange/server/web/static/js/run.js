// A run's pages, live.

import { call, refresh } from "./api.js";
import { follow, on } from "./live.js";
import { logs } from "./logs.js";
import { count, paintProgress, paintState, soonest } from "./paint.js";
import { previews } from "./preview.js";
import { say, sayCount } from "./texts.js";
import { tell } from "./times.js";
import { duration, rate, rough } from "./words.js";

const ENDS = ["done", "failed", "cancelled"];
const EVENT_ROWS = 200;
const here = document.getElementById("run");
const id = here.dataset.run;
const find = (selector) => document.querySelector(selector);
const part = (name) => find(`[data-part="${name}"]`);

let last = null;
let reached = 0;
let cells = null;

// ---- what each tab refreshes of itself

const fresh = soonest(1500, async () => {
  const parts = ["#actions", "#failures", "#items", "#outputs", "#facts"];
  // What somebody is looking into stays as it is.
  const busy = find("dialog[open]") || find("#item");
  if (busy) return;
  if (await refresh(...parts.filter(find))) tell(document);
});
const freshItem = soonest(1500, async () => {
  if (find("#item details[open] [data-lines] li")) return;
  await refresh("#item", "#item-state");
  tell(document);
  logs();
});
const freshTimeline = soonest(5000, async () => {
  const place = part("timeline");
  if (!place) return;
  try {
    const found = await call("GET", `runs/${id}/timeline`);
    if (!found.spans.length) return;
    const { timeline } = await import("./charts.js");
    timeline(place, found, id);
    find("#timeline").hidden = false;
  } catch {
    // It is drawn with the next change.
  }
});

// Inputs grow slow while nothing else happens, and nobody needs to know within seconds.
const freshTroubles = soonest(15_000, async () => {
  if (find("#troubles") && (await refresh("#troubles"))) tell(find("#troubles"));
});

// ---- what the stream tells

on("run", (run) => {
  if (run.id !== id) return;
  if (here.dataset.state !== run.state) moved(run);
  if (part("progress")) overview(run);
  const note = part("note");
  const words = run.note || run.waits || "";
  if (note && note.textContent !== words) {
    note.textContent = words;
    note.className = run.note ? "note" : "";
    note.hidden = !words;
  }
  announce(run);
  last = run;
});

function moved(run) {
  here.dataset.state = run.state;
  const place = find("#state .state");
  // An item's page has none.
  if (place) paintState(place, run.state);
  find("#said").textContent = say("changed", { state: say(`state.${run.state}`) });
  if (find("#state")) fresh();
  cells?.again();
  freshTimeline();
  freshTroubles();
}

function overview(run) {
  const { counts } = run;
  paintProgress(part("progress"), counts);
  const left = counts.total - counts.done - counts.failed - counts.cancelled;
  for (const [name, value] of Object.entries({ ...counts, left })) count(find(`[data-count="${name}"]`), value);
  part("elapsed").textContent = duration(run.elapsed_seconds);
  if (run.per_second > 0) part("rate").textContent = rate(run.per_second);
  part("left-box").hidden = run.left_seconds === null;
  if (run.left_seconds !== null) part("left").textContent = rough(run.left_seconds);
  if (last && last.counts.failed !== counts.failed) fresh();
  workers(run);
  if (!ENDS.includes(run.state)) freshTroubles();
}

/** What each worker does: one of another machine does several things at once, and has one row. */
function byWorker(run) {
  const found = new Map();
  for (const one of run.workers) found.set(one.name, [...(found.get(one.name) ?? []), one]);
  for (const some of found.values()) some.sort((a, b) => b.seconds - a.seconds);
  return [...found.values()].sort(([a], [b]) => a.name.localeCompare(b.name, undefined, { numeric: true }));
}

function workers(run) {
  const crew = ENDS.includes(run.state) ? [] : byWorker(run);
  find("#workers").hidden = !crew.length;
  const list = part("workers");
  crew.forEach(([worker, ...others], index) => {
    const row = list.children[index] ?? list.appendChild(blankWorker());
    row.querySelector("i").className = `s ${worker.silent ? "unknown" : worker.item ? "running" : "waiting"}`;
    named(row.querySelector("b"), worker);
    const time = rough(worker.seconds);
    const doing = worker.silent
      ? say("silent", { time })
      : worker.item ? say("on", { time, item: worker.item }) : say("idle");
    const more = others.length ? ` ${sayCount("more", others.length)}` : "";
    row.querySelector("[data-doing]").textContent = doing + more;
    const bar = row.querySelector("progress");
    bar.hidden = worker.progress === null || worker.progress === undefined;
    bar.value = worker.progress ?? 0;
    bar.setAttribute("aria-label", worker.name);
  });
  while (list.children.length > crew.length) list.lastElementChild.remove();
}

/** Its name, which leads to its page where it has one and the reader may see it. */
function named(place, worker) {
  const page = worker.worker && here.dataset.workers ? `/workers/${worker.worker}` : "";
  if (place.textContent === worker.name && (place.firstChild?.pathname ?? "") === page) return;
  const shown = document.createElement(page ? "a" : "span");
  if (page) shown.href = page;
  shown.textContent = worker.name;
  place.replaceChildren(shown);
}

function blankWorker() {
  const row = document.createElement("li");
  const name = document.createElement("span");
  name.className = "state";
  const shape = document.createElement("i");
  shape.setAttribute("aria-hidden", "true");
  name.append(shape, document.createElement("b"));
  const doing = document.createElement("span");
  doing.className = "quiet";
  doing.dataset.doing = "";
  row.append(name, doing, document.createElement("progress"));
  return row;
}

/** Of progress, who listens hears a word at each quarter. */
function announce(run) {
  const { total, done, failed, cancelled } = run.counts;
  const quarter = total ? Math.floor((4 * (done + failed + cancelled)) / total) : 0;
  if (last && quarter > reached && !ENDS.includes(run.state)) {
    find("#said").textContent = say("reached", { percent: `${25 * quarter} %` });
  }
  reached = quarter;
}

on("items", ({ run, items }) => {
  if (run !== id) return;
  cells?.ended(items);
  freshTimeline();
  freshTroubles();
  if (find("#events")) events(items);
  if (find("#outputs") || (find("#items") && items.some(concerns))) fresh();
  if (find("#item") && items.some((item) => String(item.id) === find("#item").dataset.item)) freshItem();
});

/** Whether an item that ended may change this page of the table. */
function concerns(item) {
  return find(`tr[data-item="${item.id}"]`) || location.search.includes("state=") || location.search.includes("code=");
}

function events(items) {
  const list = find("#events");
  for (const item of items) {
    if (list.querySelector(`[data-event="${item.id}"]`)) continue;
    const row = document.createElement("li");
    row.dataset.event = item.id;
    const said = document.createElement("span");
    const state = document.createElement("span");
    state.className = "state";
    const shape = document.createElement("i");
    shape.className = `s ${item.state}`;
    shape.setAttribute("aria-hidden", "true");
    state.append(shape, say(`state.${item.state}`));
    const link = document.createElement("a");
    link.href = `/runs/${id}/items/${item.id}`;
    link.textContent = item.path;
    said.append(state, " ", link);
    const time = document.createElement("time");
    time.dateTime = new Date().toISOString();
    time.dataset.clock = "";
    row.append(said, time);
    list.prepend(row);
  }
  tell(list);
  while (list.children.length > EVENT_ROWS) list.lastElementChild.remove();
}

// Whoever deletes the run is on the way to the answer, which says so.
let leaving = false;
document.addEventListener("submit", () => (leaving = true));
on("gone", ({ id: gone }) => {
  if (gone === id) setTimeout(() => location.assign("/runs"), leaving ? 5000 : 0);
});
on("back", () => {
  fresh();
  freshItem();
  cells?.load();
  freshTimeline();
});

if (find("#cells")) {
  const { Cells } = await import("./cells.js");
  cells = new Cells(find("#cells"));
  cells.load();
  freshTimeline();
}
logs();
previews();
follow([`run:${id}`]);
