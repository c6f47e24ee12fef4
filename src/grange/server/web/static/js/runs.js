// The list of runs, live: rows change in place, new runs come in, deleted ones go.

import { refresh } from "./api.js";
import { follow, on } from "./live.js";
import { paintProgress, paintState, soonest } from "./paint.js";
import { say } from "./texts.js";
import { tell } from "./times.js";
import { rough } from "./words.js";

const FRESH_EVERY = 1500;

const rowOf = (id) => document.querySelector(`tr[data-run="${CSS.escape(id)}"]`);
const again = soonest(FRESH_EVERY, async () => {
  if (await refresh("#runs")) tell(document.getElementById("runs"));
});

// Which runs of other pages, or beside the filter, are known not to belong here.
const elsewhere = new Set();

on("run", (run) => {
  const row = rowOf(run.id);
  if (!row) {
    // The first page shows what is new; what the filter leaves out is asked for once.
    const first = !new URLSearchParams(location.search).has("after");
    if (first && !elsewhere.has(run.id)) {
      elsewhere.add(run.id);
      again();
    }
    return;
  }
  elsewhere.add(run.id);
  if (row.dataset.state !== run.state) {
    row.dataset.state = run.state;
    paintState(row.querySelector("[data-part=state] .state"), run.state);
    document.getElementById("said").textContent = `${row.querySelector("th a").textContent}: ${say(`state.${run.state}`)}`;
  }
  paintProgress(row.querySelector("[data-part=progress]"), run.counts);
  const left = row.querySelector("[data-part=left]");
  left.textContent = run.left_seconds === null ? "" : say("left", { time: rough(run.left_seconds) });
});
on("gone", ({ id }) => rowOf(id) && again());
on("back", again);
follow(["runs"]);

// A choice in the filter counts at once; the button is for those without scripts.
for (const choice of document.querySelectorAll("#filter select")) {
  choice.addEventListener("change", () => choice.form.requestSubmit());
}
