// The time line of a run's workers: who did what when, with the gaps in view.

import { say } from "./texts.js";
import { duration } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const ROW = 18;
const WIDTH = 1000;
// Finer than this nothing can be seen, so neighbours become one.
const LEAST = 2;

/** Draw the spans {worker, began_at, ended_at, end, item, path} into a place, one row a worker. */
export function timeline(place, { began_at: began, ended_at: ended, spans }, run) {
  const workers = [...new Set(spans.map((span) => span.worker))].sort(byNumber);
  const scale = WIDTH / Math.max(ended - began, 0.001);
  place.replaceChildren(
    ...workers.map((worker) => {
      const own = spans.filter((span) => span.worker === worker);
      return row(worker, own, (at) => (at - began) * scale, run);
    }),
    axis(ended - began),
  );
}

function byNumber(one, other) {
  return one.localeCompare(other, "en", { numeric: true });
}

function row(worker, spans, x, run) {
  const line = document.createElement("div");
  line.className = "lane";
  const name = document.createElement("span");
  name.textContent = worker;
  const busy = spans.reduce((sum, span) => sum + span.ended_at - span.began_at, 0);
  const picture = element("svg", {
    viewBox: `0 0 ${WIDTH} ${ROW}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": say("timeline.row", { worker, count: spans.length, time: duration(busy) }),
  });
  for (const span of thinned(spans, x)) picture.append(block(span, x, run));
  line.append(name, picture);
  return line;
}

/** Leave out what would lie on the pixels of its predecessor, but for failures. */
function thinned(spans, x) {
  const sorted = [...spans].sort((one, other) => one.began_at - other.began_at);
  let reached = -1;
  return sorted.filter((span) => {
    const right = x(span.ended_at);
    if (span.end === "done" && right < reached + LEAST / 2) return false;
    reached = right;
    return true;
  });
}

function block(span, x, run) {
  const left = x(span.began_at);
  const made = element("rect", {
    x: left.toFixed(1),
    y: 1,
    width: Math.max(LEAST, x(span.ended_at) - left - 0.5).toFixed(1),
    height: ROW - 2,
    class: span.end,
  });
  const title = element("title", {});
  const end = say(`end.${span.end}`);
  title.textContent = `${span.path} · ${end} · ${duration(span.ended_at - span.began_at)}`;
  made.append(title);
  made.addEventListener("click", () => location.assign(`/runs/${run}/items/${span.item}`));
  return made;
}

function axis(seconds) {
  const line = document.createElement("div");
  line.className = "lane axis";
  line.setAttribute("aria-hidden", "true");
  const marks = document.createElement("p");
  for (const share of [0, 0.5, 1]) {
    const mark = document.createElement("span");
    mark.textContent = share ? duration(seconds * share) : "0";
    marks.append(mark);
  }
  line.append(document.createElement("span"), marks);
  return line;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
