// What is going on, at the top of every page: runs at work, and files on their way.
//
// Runs come with the page's one stream of events; uploads live in the tabs that
// send them, which tell each other.

import { follow, on } from "./live.js";
import { soonest } from "./paint.js";
import { say, sayCount } from "./texts.js";
import { number, rough, size } from "./words.js";

const MOST_ROWS = 8;
const MOST_ENDED = 3;
const PAINT_EVERY = 250;
// A tab that says nothing for so long is gone, or sends nothing any more.
const SILENT_FOR = 10_000;
const ENDS = ["done", "failed", "cancelled"];
const ORDER = ["running", "cancelling", "submitting", "waiting", "paused", ...ENDS];

const menu = document.getElementById("activity");
const find = (selector) => menu.querySelector(selector);
const runs = new Map();
const uploads = new Map();

/** Show it for as long as the page is open. */
export function activity() {
  if (!menu) return;
  on("run", (run) => {
    // What had ended before this page began is history, and stands on the overview.
    if (ENDS.includes(run.state) && !runs.has(run.id)) return;
    runs.set(run.id, run);
    forget();
    paint();
  });
  on("gone", ({ id }) => runs.delete(id) && paint());
  // Whatever ended during a break is not told again; what goes on is.
  on("back", () => {
    runs.clear();
    paint();
  });
  menu.addEventListener("toggle", paint);
  listen();
  follow(["runs"]);
}

/** Of those that have ended only the last few stay. */
function forget() {
  const ended = [...runs.values()].filter((run) => ENDS.includes(run.state));
  for (const run of ended.slice(0, -MOST_ENDED)) runs.delete(run.id);
}

function listen() {
  const channel = new BroadcastChannel("grange");
  const own = crypto.getRandomValues(new Uint32Array(1))[0];
  const take = ({ tab, ...upload }) => {
    clearTimeout(uploads.get(tab)?.timer);
    uploads.delete(tab);
    if (upload.going) uploads.set(tab, { ...upload, timer: setTimeout(take, SILENT_FOR, { tab }) });
    paint();
  };
  const tell = (message) => {
    take(message);
    channel.postMessage(message);
  };
  channel.addEventListener("message", ({ data }) => take(data));
  document.addEventListener("grange:sending", ({ detail }) => tell({ tab: own, ...detail }));
  addEventListener("pagehide", () => uploads.has(own) && tell({ tab: own }));
}

const paint = soonest(PAINT_EVERY, () => {
  const going = [...runs.values()].filter((run) => !ENDS.includes(run.state)).length + uploads.size;
  const badge = find("[data-count]");
  if (badge.dataset.count !== String(going)) {
    badge.dataset.count = going;
    badge.textContent = going > 99 ? "99+" : going;
    badge.hidden = !going;
    find("summary").setAttribute("aria-label", sayCount("activity.label", going));
  }
  if (menu.open) rows();
});

function rows() {
  const rank = (run) => ORDER.indexOf(run.state);
  const sorted = [...runs.values()].sort((one, other) => rank(one) - rank(other));
  const shown = [
    ...[...uploads].map(([tab, upload]) => [`upload-${tab}`, (row) => paintUpload(row, upload)]),
    ...sorted.slice(0, MOST_ROWS).map((run) => [`run-${run.id}`, (row) => paintRun(row, run)]),
  ];
  const list = find("ul");
  const old = new Map([...list.children].map((row) => [row.dataset.key, row]));
  shown.forEach(([key, fill], place) => {
    const row = old.get(key) ?? blank(key);
    old.delete(key);
    fill(row);
    // Only what stands elsewhere is moved: a row that is moved loses the focus.
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
  for (const row of old.values()) row.remove();
  find("[data-nothing]").hidden = shown.length > 0;
}

function blank(key) {
  const row = find("template").content.firstElementChild.cloneNode(true);
  row.dataset.key = key;
  return row;
}

function paintRun(row, run) {
  const { counts } = run;
  const ended = counts.done + counts.failed + counts.cancelled;
  const facts = [
    run.state === "running" ? "" : say(`state.${run.state}`),
    say("activity.items", { ended: number(ended), total: number(counts.total) }),
    counts.failed ? sayCount("activity.failed", counts.failed) : "",
    run.left_seconds === null ? "" : say("activity.left", { time: rough(run.left_seconds) }),
  ];
  fill(row, { shape: run.state, name: run.name || run.id, facts, done: ended, of: counts.total });
  row.querySelector("a").href = `/runs/${run.id}`;
}

function paintUpload(row, upload) {
  const sent = say("activity.sent", { sent: size(upload.sent), size: size(upload.size) });
  const name = sayCount("activity.files", upload.files);
  fill(row, { shape: "running", name, facts: [sent], done: upload.sent, of: upload.size });
}

function fill(row, { shape, name, facts, done, of }) {
  row.querySelector("i").className = `s ${shape}`;
  row.querySelector("a").textContent = name;
  row.querySelector("small").textContent = facts.filter(Boolean).join(" · ");
  const bar = row.querySelector("progress");
  bar.max = of || 1;
  bar.value = done;
  bar.setAttribute("aria-label", name);
}
