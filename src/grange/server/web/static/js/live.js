// What the server tells by itself: one stream of events for each tab.
//
// The stream heals itself. The browser takes up a broken one with the id of the
// last event that it saw; a refused one is asked for again here. A tab that
// nobody looks at gives its stream back, since a browser has few per server.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;
const HIDDEN_FOR = 30_000;
// A break this short is not worth a word: a stream ends by itself now and then.
const QUIET_FOR = 2500;
const EVENTS = ["run", "items", "gone"];

const listeners = new Map();
const followed = new Set();
let opening = 0;
let source = null;
let wait = FIRST_WAIT;
let broken = 0;
let told = false;
let again = 0;
let hidden = 0;

/** Call `handler` with the data of each event of this name; `back` comes after a break. */
export function on(name, handler) {
  listeners.set(name, [...(listeners.get(name) ?? []), handler]);
}

/** Follow these topics too from now on: whatever the modules of a page ask for comes in one stream. */
export function follow(topics) {
  if (!followed.size) {
    document.addEventListener("visibilitychange", look);
    window.addEventListener("pagehide", close);
    window.addEventListener("pageshow", (event) => event.persisted && open());
  }
  const before = followed.size;
  for (const topic of topics) followed.add(topic);
  if (followed.size === before) return;
  clearTimeout(opening);
  opening = setTimeout(open, 0);
}

function open() {
  close();
  const query = [...followed].map((topic) => `topic=${encodeURIComponent(topic)}`).join("&");
  source = new EventSource(`/api/v1/events?${query}`);
  source.addEventListener("open", opened);
  source.addEventListener("error", failed);
  for (const name of EVENTS) {
    source.addEventListener(name, (event) => tell(name, JSON.parse(event.data)));
  }
}

function close() {
  clearTimeout(opening);
  clearTimeout(again);
  source?.close();
  source = null;
}

function tell(name, data) {
  for (const handler of listeners.get(name) ?? []) handler(data);
}

function opened() {
  wait = FIRST_WAIT;
  document.documentElement.dataset.live = "on";
  if (!broken) return;
  broken = 0;
  hush();
  tell("back");
}

function failed() {
  if (!broken) {
    broken = Date.now();
    document.documentElement.dataset.live = "off";
    setTimeout(complain, QUIET_FOR);
  }
  // A stream that broke off is taken up by the browser; one that was refused is not.
  if (source?.readyState !== EventSource.CLOSED) return;
  clearTimeout(again);
  again = setTimeout(open, wait);
  wait = Math.min(wait * 2, LONGEST_WAIT);
}

function look() {
  clearTimeout(hidden);
  if (document.hidden) {
    hidden = setTimeout(close, HIDDEN_FOR);
  } else if (!source) {
    broken ||= Date.now();
    open();
  }
}

function complain() {
  if (!broken || told) return;
  told = true;
  document.dispatchEvent(new Event("grange:lost"));
}

function hush() {
  if (told) document.dispatchEvent(new Event("grange:back"));
  told = false;
}
