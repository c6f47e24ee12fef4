// The overview, live: bars move with the stream, and what comes, ends or fails is asked for again.

import { refresh } from "./api.js";
import { on } from "./live.js";
import { paintProgress, soonest } from "./paint.js";
import { say } from "./texts.js";
import { tell } from "./times.js";
import { rough } from "./words.js";

const FRESH_EVERY = 2000;
// The charts and sums move with every item; nobody sees more than a few steps a minute.
const SUMS_EVERY = 20_000;

const place = document.getElementById("now");
const known = new Map();
const again = soonest(FRESH_EVERY, async () => {
  if (await refresh("#now")) tell(place);
});
const sums = soonest(SUMS_EVERY, again);

on("run", (run) => {
  const before = known.get(run.id);
  known.set(run.id, { state: run.state, ended: ended(run.counts) });
  const row = place.querySelector(`[data-run="${CSS.escape(run.id)}"]`);
  if (row ? row.dataset.state !== run.state : before?.state !== run.state) again();
  else if (before && before.ended !== ended(run.counts)) sums();
  if (!row) return;
  paintProgress(row.querySelector("[data-part=progress]"), run.counts);
  const left = row.querySelector("[data-part=left]");
  left.textContent = run.left_seconds === null ? "" : say("left", { time: rough(run.left_seconds) });
});
on("gone", again);
on("back", again);

function ended(counts) {
  return counts.done + counts.failed + counts.cancelled;
}
