// What the list and the page of a run show alike, kept true without a jump.

import { say, sayCount } from "./texts.js";
import { number } from "./words.js";

const STEPS = 12;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** A state's shape, colour and word. */
export function paintState(place, state) {
  place.querySelector("i").className = `s ${state}`;
  place.lastChild.textContent = say(`state.${state}`);
}

/** The bar of a run, and the counts beside it. */
export function paintProgress(place, counts) {
  const total = counts.total || 1;
  let x = 0;
  for (const kind of ["done", "failed", "cancelled"]) {
    const part = place.querySelector(`rect.${kind}`);
    const width = (counts[kind] * 1000) / total;
    part.setAttribute("x", x.toFixed(1));
    part.setAttribute("width", width.toFixed(1));
    x += width;
  }
  const ended = counts.done + counts.failed + counts.cancelled;
  const bar = place.querySelector("svg");
  bar.setAttribute("aria-label", say("progress", { ended: number(ended), total: number(counts.total) }));
  count(place.querySelector("[data-part=ended]"), ended);
  const failed = place.querySelector("[data-part=failed]");
  failed.hidden = !counts.failed;
  failed.textContent = sayCount("failed", counts.failed);
}

/** Let a number count to its new value in a fraction of a second. */
export function count(place, value) {
  if (!place || Number(place.dataset.value ?? Number.NaN) === value) return;
  const from = Number(place.dataset.value ?? place.textContent.replace(/\D/g, ""));
  place.dataset.value = value;
  cancelAnimationFrame(place.counting);
  if (still.matches || document.hidden || Math.abs(value - from) < 2) {
    place.textContent = number(value);
    return;
  }
  let step = 0;
  const next = () => {
    step += 1;
    place.textContent = number(from + ((value - from) * step) / STEPS);
    if (step < STEPS) place.counting = requestAnimationFrame(next);
  };
  next();
}

/** Do it now, then at most once in so many milliseconds, and once more for whatever was asked meanwhile. */
export function soonest(milliseconds, work) {
  let timer = 0;
  let wanted = false;
  return function ask() {
    if (timer) {
      wanted = true;
      return;
    }
    wanted = false;
    work();
    timer = setTimeout(() => {
      timer = 0;
      if (wanted) ask();
    }, milliseconds);
  };
}
