// The form for a new run: inputs on their way while the rest is filled in, then one button.

import { call, insist, Refused } from "./api.js";
import { chosen, commonFolder, dropped } from "./drop.js";
import { say, sayCount } from "./texts.js";
import { isArchive, Uploads } from "./upload.js";
import { number, percent, rough, size } from "./words.js";

const MOST_ROWS = 200;
const DRAFT = "grange.draft";
// A screen need not change more often than this.
const SOON = 150;

const form = document.getElementById("new-run");
const zone = document.getElementById("drop");
const list = document.getElementById("files");
const start = document.getElementById("start");
const review = document.getElementById("review");
const uploads = new Uploads(soon, form?.dataset.tus);
const rows = new Map();
let root = "";
let timer = 0;
let starting = false;
// What was sent earlier is being asked for: until then nobody knows what need not be sent.
let resuming = null;
let key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;

// ---- what is given

async function take(found) {
  if (!found.length) return;
  await resuming;
  if (!uploads.files.length) root = commonFolder(found);
  const name = root || (found.length === 1 ? found[0].path : say("upload.name", { count: found.length }));
  const unpack = document.getElementById("unpack").checked;
  const named = found.map(({ file, path }) => ({
    file,
    path: root && path.startsWith(`${root}/`) ? path.slice(root.length + 1) : path,
    unpack: unpack && isArchive(path),
  }));
  try {
    await uploads.add(named, name.slice(0, 200));
    remember(name);
  } catch (error) {
    refuse(error);
  }
}

function listen() {
  for (const input of form.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      take(chosen(input.files));
      input.value = "";
    });
  }
  for (const button of form.querySelectorAll("[data-opens]")) {
    button.addEventListener("click", () => document.getElementById(button.dataset.opens).click());
  }
  let depth = 0;
  const over = (inside) => zone.classList.toggle("over", inside);
  zone.addEventListener("dragenter", (event) => (event.preventDefault(), over((depth += 1) > 0)));
  zone.addEventListener("dragleave", () => over((depth -= 1) > 0));
  // Beside the field a browser would leave the page and show the file.
  for (const type of ["dragover", "drop"]) {
    window.addEventListener(type, (event) => event.preventDefault());
  }
  zone.addEventListener("drop", async (event) => {
    depth = 0;
    over(false);
    const heard = (count) => told("drop-said", sayCount("upload.reading", count));
    take(await dropped(event.dataTransfer, heard));
    told("drop-said", "");
  });
  document.getElementById("pause").addEventListener("click", () => {
    if (uploads.paused || uploads.counts.failed) uploads.resume();
    else uploads.pause();
  });
  list.addEventListener("click", (event) => {
    const button = event.target.closest("[data-remove]");
    if (button) uploads.remove(button.dataset.remove);
  });
  form.addEventListener("input", soon);
  form.addEventListener("change", soon);
  form.addEventListener("submit", (event) => (event.preventDefault(), submit()));
  window.addEventListener("beforeunload", (event) => {
    if (uploads.active.size && !starting) event.preventDefault();
  });
}

// ---- what was begun earlier

function remember(name) {
  try {
    localStorage.setItem(DRAFT, JSON.stringify({ folder: uploads.folder.id, name }));
  } catch {
    // Without storage an upload ends with its tab.
  }
}

function forget() {
  try {
    localStorage.removeItem(DRAFT);
  } catch {
    // As above.
  }
}

/** Offer to go on with an upload that a closed tab left unfinished. */
async function recall() {
  let draft = null;
  try {
    draft = JSON.parse(localStorage.getItem(DRAFT) ?? "null");
    if (!draft) return;
    const folder = await call("GET", `folders/${draft.folder}`);
    const offer = document.getElementById("earlier");
    const there = { name: folder.name, count: number(folder.files), size: size(folder.bytes) };
    offer.querySelector("[data-said]").textContent = say("upload.earlier", there);
    offer.hidden = false;
    offer.querySelector("[data-go-on]").addEventListener("click", async () => {
      offer.hidden = true;
      root = draft.name;
      told("drop-said", say("upload.again", { name: folder.name }));
      document.getElementById("pick-folder").focus();
      resuming = uploads.continueWith(folder).catch(refuse);
      await resuming;
      soon();
    });
    offer.querySelector("[data-afresh]").addEventListener("click", () => {
      offer.hidden = true;
      forget();
    });
  } catch {
    forget();
  }
}

// ---- what is shown

function soon() {
  timer ||= setTimeout(() => {
    timer = 0;
    show();
  }, SOON);
}

function show() {
  const counts = uploads.counts;
  document.getElementById("sending").hidden = !counts.total;
  if (counts.total) {
    showTotals(counts);
    showRows();
  }
  for (const place of form.querySelectorAll("[data-way]")) place.hidden = place.dataset.way !== way();
  review.textContent = sentence();
  if (starting && ready() && way() === "send") submitNow();
}

function showTotals({ total, ended, failed, sent }) {
  const bar = document.getElementById("total");
  bar.max = Math.max(1, uploads.bytes);
  bar.value = uploads.bytes ? sent : ended / total;
  const places = { done: number(ended), total: number(total), sent: size(sent), size: size(uploads.bytes) };
  let said = say(ended === total ? "upload.all" : "upload.some", places);
  if (uploads.offline) said = `${say("upload.lost")} ${said}`;
  else if (uploads.paused) said = `${say("upload.paused")} ${said}`;
  else if (ended < total) said += left(sent);
  if (failed) said += ` · ${sayCount("upload.failed", failed)}`;
  told("total-said", said);
  const button = document.getElementById("pause");
  button.hidden = ended === total;
  const stopped = uploads.paused || (failed && !uploads.active.size);
  button.textContent = say(failed && stopped ? "upload.retry" : stopped ? "upload.resume" : "upload.pause");
}

function left(sent) {
  const seconds = (performance.now() - uploads.began) / 1000;
  const rest = (uploads.bytes - sent) / (sent / seconds);
  return seconds > 3 && Number.isFinite(rest) ? ` · ${say("upload.left", { time: rough(rest) })}` : "";
}

/** The first few hundred have a row each, and whatever failed. */
function showRows() {
  const shown = uploads.files.filter((one, index) => index < MOST_ROWS || one.state === "failed");
  const paths = new Set(shown.slice(0, 2 * MOST_ROWS).map((one) => one.path));
  for (const [path, row] of rows) if (!paths.has(path)) rows.delete(path) && row.remove();
  for (const path of paths) showRow(uploads.paths.get(path));
  const more = uploads.files.length - rows.size;
  told("more-files", more > 0 ? sayCount("upload.more", more) : "");
}

function showRow(sending) {
  let row = rows.get(sending.path);
  if (!row) {
    row = document.getElementById("file-row").content.firstElementChild.cloneNode(true);
    row.querySelector("[data-path]").textContent = sending.path;
    row.querySelector("[data-size]").textContent = size(sending.size);
    row.querySelector("progress").setAttribute("aria-label", sending.path);
    const button = row.querySelector("button");
    button.dataset.remove = sending.path;
    button.setAttribute("aria-label", say("upload.remove", { path: sending.path }));
    rows.set(sending.path, row);
    list.append(row);
  }
  if (row.dataset.state === sending.state && Number(row.dataset.sent) === sending.sent) return;
  Object.assign(row.dataset, { state: sending.state, sent: sending.sent });
  const bar = row.querySelector("progress");
  bar.max = Math.max(1, sending.size);
  bar.value = sending.isEnded && sending.state !== "failed" ? bar.max : sending.sent;
  row.querySelector("[data-said]").textContent =
    sending.state === "sending" ? percent(sending.sent, sending.size) : sending.why || say(`upload.state.${sending.state}`);
  row.querySelector("button").hidden = sending.isEnded;
}

function told(id, words) {
  const place = document.getElementById(id);
  if (place.textContent !== words) place.textContent = words;
}

// ---- what is asked for

function way() {
  return form.querySelector("input[name=way]:checked").value;
}

function inputs() {
  if (way() === "send") return uploads.folder ? [{ folder: uploads.folder.id }] : [];
  if (way() === "folder") return form.folder.value ? [{ folder: form.folder.value }] : [];
  return form.share.value.trim() ? [{ share: form.share.value.trim() }] : [];
}

function ready() {
  if (way() !== "send") return inputs().length > 0;
  return uploads.isWhole || (uploads.there?.size > 0 && !uploads.files.length);
}

function sentence() {
  const pipeline = form.dataset.pipeline;
  if (way() === "send") {
    if (!uploads.files.length && !uploads.there?.size) return say("review.none");
    const count = uploads.files.length || uploads.there.size;
    const said = sayCount("review.send", count, { pipeline, size: size(uploads.bytes) });
    return uploads.isWhole || !uploads.files.length ? said : `${said} ${say("review.wait")}`;
  }
  if (!inputs().length) return say("review.none");
  const from = way() === "folder" ? form.folder.selectedOptions[0].textContent.trim() : form.share.value;
  return say("review.from", { pipeline, from });
}

/** The values of the fields that somebody changed, each by its type. Throws nothing: a server checks. */
function params() {
  const found = {};
  for (const field of form.querySelectorAll("[data-param]")) {
    const text = field.type === "checkbox" ? String(field.checked) : field.value;
    if (text === field.dataset.default) continue;
    found[field.dataset.param] = typed(field.dataset.kind, text);
  }
  return found;
}

function typed(kind, text) {
  if (kind === "boolean") return text === "true";
  if (["integer", "number"].includes(kind)) return text === "" ? null : Number(text);
  if (["array", "object", "any"].includes(kind)) return structured(kind, text);
  return text;
}

function structured(kind, text) {
  try {
    return JSON.parse(text);
  } catch {
    const lines = text.split("\n").filter((line) => line.trim());
    if (kind === "array" && lines.length > 1) return lines;
    if (kind !== "object") return text;
    const pairs = lines.map((line) => line.split(/=(.*)/s));
    return pairs.every((pair) => pair.length > 1)
      ? Object.fromEntries(pairs.map(([name, value]) => [name.trim(), value]))
      : text;
  }
}

/** What each task needs, as far as somebody has said so. A server checks what makes no number. */
function needs() {
  const found = {};
  for (const field of form.querySelectorAll("[data-need]")) {
    const text = field.value.trim();
    const name = field.dataset.need;
    if (name === "labels") {
      if (text) found.labels = text.split(/[\s,]+/).filter(Boolean);
    } else if (text || field.validity.badInput) {
      const unit = field.parentElement.querySelector("select");
      found[name] = unit && text ? Math.round(Number(text) * Number(unit.value)) : text && Number(text);
    }
  }
  return Object.keys(found).length ? { needs: found } : {};
}

function request() {
  const limit = Number(form.limit.value) * Number(form.unit.value);
  return {
    pipeline: form.dataset.pipeline,
    inputs: inputs(),
    params: params(),
    name: form.elements.name.value.trim(),
    ...(form.retries.value === "" ? {} : { retries: Number(form.retries.value) }),
    ...(limit > 0 ? { timeout_seconds: limit } : {}),
    ...(form.out?.value.trim() ? { out: form.out.value.trim() } : {}),
    ...(form.group?.value ? { group: form.group.value } : {}),
    ...needs(),
  };
}

// ---- starting

function submit() {
  clear();
  if (way() === "send" && !uploads.files.length && !uploads.there?.size) return lacking("drop-said");
  if (way() !== "send" && !inputs().length) return lacking("way-said");
  starting = true;
  start.disabled = true;
  if (uploads.paused) uploads.resume();
  told("starting", ready() ? say("start.wait") : say("start.upload"));
  if (ready()) submitNow();
}

function lacking(id) {
  told(id, say("review.none"));
  document.getElementById(id).scrollIntoView({ block: "center" });
  form.querySelector("input[name=way]:checked").focus();
}

async function submitNow() {
  if (uploads.submitted) return;
  uploads.submitted = true;
  try {
    told("starting", say("start.wait"));
    const waiting = () => told("starting", say("start.lost"));
    const run = await insist("POST", "runs", request(), { "Idempotency-Key": key }, waiting);
    forget();
    location.assign(`/runs/${run.id}`);
  } catch (error) {
    // What is mended is another request.
    key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    uploads.submitted = false;
    starting = false;
    start.disabled = false;
    told("starting", "");
    refuse(error);
  }
}

// ---- what the server says against it

function clear() {
  document.getElementById("refused").replaceChildren();
  for (const place of form.querySelectorAll("[data-mistake]")) place.textContent = "";
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
}

function refuse(error) {
  const rest = error instanceof Refused ? placed(error) : [error.message];
  if (rest.length) {
    const notice = document.getElementById("refused-notice").content.cloneNode(true);
    notice.querySelector("[data-said]").textContent = [...rest, error.hint].filter(Boolean).join(" ");
    notice.querySelector("code").textContent = error.code ?? "";
    document.getElementById("refused").replaceChildren(notice);
  }
  const first = form.querySelector("[aria-invalid]") ?? document.getElementById("refused");
  first.closest("details")?.setAttribute("open", "");
  first.scrollIntoView({ block: "center" });
  first.focus?.();
}

/** Put what concerns a field beside it; gives what is left. */
function placed(error) {
  const lines = error.errors.length
    ? error.errors.map(ofRequest)
    : error.message.split("\n").map(ofParameter);
  const left = lines.filter(([name, said]) => said && !beside(name, said)).map(([, said]) => said);
  // The first line only says that there are more.
  return left.length < lines.length ? left.filter((line) => !line.endsWith(":")) : left;
}

/** A place in the request as the name of its field, and what is wrong there. */
function ofRequest({ where, said, type }) {
  const parts = where.replace(/^body\./, "").split(".");
  if (parts[0] !== "needs") return [parts.at(-1), said];
  return [`needs.${parts[1]}`, type === "string_pattern_mismatch" ? say("label") : said];
}

/** "parameters of pipeline x: size = 3: should be …" as the name of a parameter and what is wrong. */
function ofParameter(line) {
  const said = line.trim().replace(/^parameters of pipeline [^:]+: ?/, "");
  const name = /^([A-Za-z_]\w*)( = |: | is )/.exec(said)?.[1] ?? "";
  return [name, said || line.trim()];
}

function beside(name, said) {
  const names = { timeout_seconds: "limit" };
  const need = /^needs\.(\w+)$/.exec(name)?.[1];
  const field = form.querySelector(
    need
      ? `[data-need="${need}"]`
      : `[data-param="${CSS.escape(name)}"], [name="${CSS.escape(names[name] ?? name)}"]`,
  );
  const place = field?.closest(".field")?.querySelector("[data-mistake]");
  if (!place) return false;
  place.textContent = said;
  field.setAttribute("aria-invalid", "true");
  return true;
}

if (form) {
  listen();
  recall();
  show();
  form.dataset.ready = "yes";
}
