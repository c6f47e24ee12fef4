// The list of workers, and one of them, live: what has changed is put in its place, row by row.

import { refresh } from "./api.js";
import { tell } from "./times.js";

const EVERY = 2000;
// What is asked for again when the server did not answer; the frame says that it is away.
const SLOWEST = 16_000;
const PARTS = ["#workers", "#standing", "#means"];

let wait = EVERY;
let lost = false;

// A worker that somebody has removed meanwhile.
async function isGone() {
  const answer = await fetch(location.href).catch(() => null);
  return answer?.status === 404;
}

async function look() {
  // Nobody looks at a hidden tab.
  if (!document.hidden) {
    const answered = await refresh(...PARTS);
    if (answered) tell(document.getElementById("workers"));
    else if (await isGone()) return location.replace("/workers");
    if (answered === lost) document.dispatchEvent(new Event(answered ? "grange:back" : "grange:lost"));
    lost = !answered;
    wait = answered ? EVERY : Math.min(wait * 2, SLOWEST);
  }
  setTimeout(look, wait);
}
setTimeout(look, EVERY);

// A choice in the filter counts at once; the button is for those without scripts.
for (const choice of document.querySelectorAll("#filter select")) {
  choice.addEventListener("change", () => choice.form.requestSubmit());
}
