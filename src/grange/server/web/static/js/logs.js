// Logs: folded, asked for when they are opened, each line with an address of its own.

import { say } from "./texts.js";
import { size } from "./words.js";

// A log of any size would stop the page: of a larger one the end is shown.
const MOST = 512 * 1024;

/** Let each `<details data-log>` below the root fetch its log, and open the one in the address. */
export function logs(root = document) {
  for (const fold of root.querySelectorAll("details[data-log]:not([data-ready])")) {
    fold.dataset.ready = "yes";
    fold.addEventListener("toggle", () => fold.open && fill(fold));
    if (fold.open) fill(fold);
  }
  window.addEventListener("hashchange", jump);
  jump();
}

/** Open the log of the address's `#<log>-L12` and go to that line. */
async function jump() {
  const found = /^#(.+)-L(\d+)$/.exec(location.hash) ?? /^#()L(\d+)$/.exec(location.hash);
  if (!found) return;
  const folds = [...document.querySelectorAll("details[data-log]")];
  const fold = found[1] ? folds.find((one) => one.id === found[1]) : folds.at(-1);
  if (!fold) return;
  fold.open = true;
  await fill(fold);
  document.querySelector("li.meant")?.classList.remove("meant");
  const line = document.getElementById(`${fold.id}-L${found[2]}`);
  line?.classList.add("meant");
  line?.scrollIntoView({ block: "center" });
}

function fill(fold) {
  fold.filling ??= fetchInto(fold);
  return fold.filling;
}

async function fetchInto(fold) {
  const place = fold.querySelector("[data-lines]");
  const whole = Number(fold.dataset.bytes);
  place.textContent = say("log.wait");
  try {
    const headers = whole > MOST ? { Range: `bytes=-${MOST}` } : {};
    const response = await fetch(fold.dataset.log, { headers });
    if (!response.ok) throw new Error(say("log.gone"));
    show(fold, place, await response.text(), response.status === 206 ? whole : 0);
  } catch (error) {
    fold.filling = null;
    place.textContent = error instanceof TypeError ? say("log.offline") : error.message;
  }
}

function show(fold, place, text, whole) {
  const lines = text.replace(/\n$/, "").split("\n");
  const list = document.createElement("ol");
  list.className = "log";
  list.tabIndex = 0;
  list.setAttribute("role", "list");
  list.setAttribute("aria-label", fold.querySelector("summary").textContent.trim());
  list.append(...lines.map((line, index) => one(fold.id, index + 1, line)));
  place.replaceChildren(list);
  if (whole) {
    const said = document.createElement("p");
    said.className = "quiet";
    said.textContent = say("log.part", { shown: size(MOST), whole: size(whole) });
    place.prepend(said);
  }
}

function one(log, number, text) {
  const line = document.createElement("li");
  line.id = `${log}-L${number}`;
  const link = document.createElement("a");
  link.href = `#${line.id}`;
  link.textContent = number;
  link.setAttribute("aria-label", say("log.line", { number }));
  const words = document.createElement("code");
  words.textContent = plain(text);
  line.append(link, words);
  return line;
}

/** Without a terminal's colours; of what was overwritten in place, the last. */
function plain(text) {
  const shown = text.replace(/\r$/, "").split("\r").at(-1);
  // eslint-disable-next-line no-control-regex
  return shown.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "");
}
