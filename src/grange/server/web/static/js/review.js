// A run's results as its pipeline shows them: this gives its scripts the items, and tells of new ones.

import { call } from "./api.js";
import { on } from "./live.js";
import { soonest } from "./paint.js";
import { say } from "./texts.js";
import { size } from "./words.js";

const AGAIN_AFTER = 3000;
const place = document.getElementById("review");
const run = place.dataset.run;
const outputs = `/api/v1/runs/${run}/outputs/`;
let after = "0:0";
let reading = false;
let wanted = false;
let view = null;

const addressOf = (entry, name) => `${outputs}${entry.href}/${name.split("/").map(encodeURIComponent).join("/")}?inline=true`;

const source = {
  texts: JSON.parse(document.getElementById("review-texts").textContent),
  file: addressOf,
  links: (entry) => [{ words: say("own.page"), href: `/runs/${run}/items/${entry.id}` }],
  async outputs(entry) {
    const item = await call("GET", `runs/${run}/items/${entry.id}`);
    // The same folder for all of them, however it is written.
    const folder = decodeURIComponent(entry.href).length + 1;
    return item.outputs.map((one) => ({ name: one.path.slice(folder), bytes: one.size, size: size(one.size) }));
  },
  async json(entry, name) {
    const response = await fetch(addressOf(entry, name));
    if (!response.ok) throw new Error(String(response.status));
    return response.json();
  },
};

/** Read the records from where this has come to; what comes in between is read then too. */
async function read() {
  wanted = true;
  if (reading) return;
  reading = true;
  while (wanted) {
    wanted = false;
    try {
      const response = await fetch(`/runs/${run}/review/records?after=${after}`, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(String(response.status));
      const { items, next, more } = await response.json();
      after = next;
      view ??= globalThis.grangeReview.show(place, source);
      view.take(items);
      wanted ||= more;
      if (!more) view.ready();
    } catch {
      if (!view) place.firstElementChild.textContent = say("own.lost");
      setTimeout(read, AGAIN_AFTER);
      break;
    }
  }
  reading = false;
}

const fresh = soonest(1000, read);
on("items", ({ run: one }) => one === run && fresh());
on("back", fresh);
read();
