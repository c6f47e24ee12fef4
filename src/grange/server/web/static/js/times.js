// Times from here stay true while the page is open; exact ones are told in the reader's own time zone.

const STEPS = [["second", 60], ["minute", 60], ["hour", 24], ["day", 30], ["month", 12], ["year", Infinity]];
const language = document.documentElement.lang;
const words = new Intl.RelativeTimeFormat(language, { numeric: "always" });
const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const NOW_SECONDS = 10;

export function relative(seconds) {
  // What is over is told by what is full, what comes by what is nearest: as the server does.
  const rounded = seconds < 0 ? Math.trunc : Math.round;
  let count = Math.abs(seconds);
  for (const [unit, length] of STEPS) {
    if (rounded(count) < length) return words.format(rounded(count) * Math.sign(seconds), unit);
    count /= length;
  }
  return "";
}

export function tell(root = document) {
  for (const time of root.querySelectorAll("time[data-ago]")) {
    const at = Date.parse(time.dateTime);
    const seconds = (at - Date.now()) / 1000;
    time.title = exact.format(at);
    if (Math.abs(seconds) >= NOW_SECONDS) time.textContent = relative(seconds);
  }
  for (const time of root.querySelectorAll("time[data-clock]"))
    time.textContent = exact.format(Date.parse(time.dateTime));
}

export function times() {
  tell();
  setInterval(tell, 15_000, document);
  document.addEventListener("htmx:afterSettle", (event) => tell(event.target.parentElement ?? document));
}
