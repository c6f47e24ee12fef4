// What every page can do once scripts run. Without them, all of it still works as plain links and forms.
import { activity } from "./activity.js";
import { call } from "./api.js";
import { copying } from "./copy.js";
import { asking } from "./asking.js";
import { tables } from "./tables.js";
import { times } from "./times.js";

const find = (choice) => document.querySelector(choice);

/** A cookie that the server reads before it sends the page: nothing flashes. */
function themes() {
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-theme-switch]")) return;
    event.preventDefault();
    const chosen = event.submitter.value;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `grange_theme=${chosen}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    find("meta[name=color-scheme]").content = chosen === "system" ? "light dark" : chosen;
    for (const button of event.target.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button.value === chosen));
  });
}

/** The navigation as a drawer, on narrow screens. */
function drawer() {
  const nav = find("#nav");
  const opener = find("#menu");
  if (!nav || !opener) return;
  const set = (open) => {
    nav.classList.toggle("open", open);
    opener.setAttribute("aria-expanded", String(open));
    if (open) nav.querySelector("li a").focus();
    else if (nav.contains(document.activeElement)) opener.focus();
  };
  opener.setAttribute("role", "button");
  opener.setAttribute("aria-expanded", "false");
  opener.setAttribute("aria-controls", "nav");
  opener.addEventListener("click", (event) => {
    event.preventDefault();
    set(!nav.classList.contains("open"));
  });
  opener.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    opener.click();
  });
  nav.querySelector(".close").addEventListener("click", (event) => {
    event.preventDefault();
    set(false);
  });
  document.addEventListener("click", (event) => {
    const outside = !nav.contains(event.target) && !opener.contains(event.target);
    if (nav.classList.contains("open") && outside) set(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && nav.classList.contains("open")) set(false);
  });
}

/** Menus close when attention goes elsewhere. */
function menus() {
  const close = (except) => {
    for (const menu of document.querySelectorAll("[data-menu][open]"))
      if (!menu.contains(except)) menu.open = false;
  };
  document.addEventListener("click", (event) => close(event.target));
  document.addEventListener("focusin", (event) => close(event.target));
  document.addEventListener("keydown", (event) => {
    const menu = find("[data-menu][open]");
    if (event.key !== "Escape" || !menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

function keys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable], dialog[open]")) return;
    if (event.key === "/" && find("#search")) {
      event.preventDefault();
      find("#search").select();
      find("#search").focus();
    } else if (event.key === "?" && find("#keys")) {
      event.preventDefault();
      find("#keys").showModal();
    }
  });
}

/** Say at the top when the server can't be reached, and when it is back. Others say so by these events. */
function connection() {
  const bar = find("#offline");
  if (!bar) return;
  let lost = false;
  const tell = (now) => {
    if (now === lost) return;
    lost = now;
    bar.classList.toggle("back", !lost);
    bar.textContent = lost ? bar.dataset.lost : bar.dataset.back;
    if (!lost) setTimeout(() => { if (!lost) bar.textContent = ""; }, 3000);
  };
  addEventListener("offline", () => tell(true));
  addEventListener("online", () => tell(false));
  document.addEventListener("grange:lost", () => tell(true));
  document.addEventListener("grange:back", () => tell(false));
  document.addEventListener("htmx:sendError", () => tell(true));
  document.addEventListener("htmx:afterOnLoad", () => tell(false));
}

/** Say at the top that nobody is logged in any more, and lead to the login and back. */
function loggedOut() {
  const place = find("#out");
  if (!place) return;
  const out = () => {
    if (!place.hidden) return;
    const link = document.createElement("a");
    link.href = `/login?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = place.dataset.verb;
    place.className = "notice warning";
    place.hidden = false;
    place.append(`${place.dataset.words} `, link);
  };
  document.addEventListener("grange:out", out);
  document.addEventListener("htmx:responseError", (event) => event.detail.xhr.status === 401 && out());
  // A stream that is refused may be one of somebody who was logged out meanwhile.
  document.addEventListener("grange:lost", () => call("GET", "session").catch(() => {}));
}

/** A one-time key or a word of success does not stay in the address, nor in the history. */
function tidyAddress() {
  const address = new URL(location.href);
  const before = address.search;
  for (const name of ["key", "done"]) address.searchParams.delete(name);
  if (address.search !== before) history.replaceState(history.state, "", address);
}

for (const start of [tidyAddress, themes, drawer, menus, keys, connection, loggedOut, activity, copying, asking, tables, times]) start();
