// Outputs looked at in place. They come from programs that nobody has checked, so
// nothing of them becomes part of this page: pictures and videos are shown by the
// browser, texts as text, and a page of HTML in a frame that may do nothing.

import { say } from "./texts.js";
import { size } from "./words.js";

const KINDS = {
  picture: ["png", "jpg", "jpeg", "gif", "webp"],
  drawing: ["svg"],
  video: ["mp4", "webm", "m4v"],
  page: ["html", "htm"],
  table: ["csv", "tsv"],
  json: ["json", "geojson"],
  text: ["txt", "md", "log", "jsonl", "ndjson", "yaml", "yml", "toml", "xml", "py", "r", "srt", "ini", "cfg"],
};
const MOST = 256 * 1024;
const MOST_ROWS = 500;

/** What can be shown of a file of this name: a kind, or nothing. */
export function kindOf(path) {
  const ending = path.split(".").at(-1).toLowerCase();
  return Object.keys(KINDS).find((kind) => KINDS[kind].includes(ending)) ?? "";
}

/** Let links with `data-preview` open their file in the dialog, with the arrow keys from one to the next. */
export function previews(root = document) {
  const dialog = document.getElementById("preview");
  if (!dialog) return;
  root.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-preview]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(dialog, link);
  });
  dialog.addEventListener("close", () => clear(dialog));
  dialog.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (way && !["VIDEO", "AUDIO"].includes(event.target.tagName)) step(dialog, way);
  });
  for (const button of dialog.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => step(dialog, Number(button.dataset.step)));
  }
}

function step(dialog, way) {
  const links = [...document.querySelectorAll("a[data-preview]")];
  const next = links[links.findIndex((link) => link.href === dialog.dataset.href) + way];
  if (next) open(dialog, next);
}

async function open(dialog, link) {
  clear(dialog);
  const { preview: path, bytes } = link.dataset;
  dialog.dataset.href = link.href;
  dialog.querySelector("h2").textContent = path.split("/").at(-1);
  dialog.querySelector("[data-about]").textContent = `${path} · ${size(Number(bytes))}`;
  dialog.querySelector("[data-download]").href = link.href;
  const place = dialog.querySelector("[data-shown]");
  if (!dialog.open) dialog.showModal();
  place.textContent = say("preview.wait");
  try {
    place.replaceChildren(...(await shown(kindOf(path), link.href, path, Number(bytes))));
  } catch (error) {
    place.textContent = error instanceof TypeError ? say("preview.offline") : error.message;
  }
}

function clear(dialog) {
  // A video would play on.
  dialog.querySelector("[data-shown]").replaceChildren();
}

async function shown(kind, href, path, bytes) {
  const inline = `${href}?inline=true`;
  if (kind === "picture") return [made("img", { src: inline, alt: path })];
  if (kind === "video") return [made("video", { src: inline, controls: true, preload: "metadata" })];
  if (kind === "page") {
    const frame = made("iframe", { title: path });
    frame.setAttribute("sandbox", "");
    frame.src = inline;
    return [frame];
  }
  if (!kind) return [made("p", { textContent: say("preview.none") })];
  const text = await beginning(href, bytes);
  if (kind === "drawing" && bytes <= MOST) return [drawing(text, path)];
  const cut = bytes > MOST ? [made("p", { className: "quiet", textContent: say("preview.part", { size: size(MOST) }) })] : [];
  if (kind === "table") return [...cut, table(text, path.toLowerCase().endsWith(".tsv") ? "\t" : ",")];
  return [...cut, made("pre", { textContent: kind === "json" ? pretty(text) : text, tabIndex: 0 })];
}

/** As a picture, a drawing runs none of the scripts that may be in it. */
function drawing(text, path) {
  const src = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  const image = made("img", { src, alt: path });
  image.addEventListener("load", () => URL.revokeObjectURL(src));
  return image;
}

async function beginning(href, bytes) {
  const headers = bytes > MOST ? { Range: `bytes=0-${MOST - 1}` } : {};
  const response = await fetch(href, { headers });
  if (!response.ok) throw new Error(say("preview.gone"));
  return response.text();
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function table(text, separator) {
  const [head, ...rows] = fields(text, separator).slice(0, MOST_ROWS + 1);
  const body = made("table", {});
  const line = (cells, name) => {
    const row = made("tr", {});
    row.append(...cells.map((cell) => made(name, { textContent: cell })));
    return row;
  };
  const top = made("thead", {});
  top.append(line(head ?? [], "th"));
  const rest = made("tbody", {});
  rest.append(...rows.map((cells) => line(cells, "td")));
  body.append(top, rest);
  const wide = made("div", { className: "wide", tabIndex: 0 });
  wide.setAttribute("role", "region");
  wide.setAttribute("aria-label", say("preview.table"));
  wide.append(body);
  return wide;
}

/** The rows of a table in text, quotes as RFC 4180 has them. */
function fields(text, separator) {
  const rows = [[""]];
  let quoted = false;
  for (let at = 0; at < text.length && rows.length <= MOST_ROWS + 1; at += 1) {
    const letter = text[at];
    const row = rows.at(-1);
    if (quoted) {
      if (letter !== '"') row[row.length - 1] += letter;
      else if (text[at + 1] === '"') row[row.length - 1] += text[(at += 1)];
      else quoted = false;
    } else if (letter === '"') quoted = true;
    else if (letter === separator) row.push("");
    else if (letter === "\n") rows.push([""]);
    else if (letter !== "\r") row[row.length - 1] += letter;
  }
  return rows.filter((row) => row.length > 1 || row[0]);
}

function made(name, properties) {
  return Object.assign(document.createElement(name), properties);
}
