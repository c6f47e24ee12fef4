// The words that scripts put on a page: the server sends them along, in the page's language.

let texts = null;

/** What the frame sends along, and then what the page itself does. */
function* found() {
  for (const part of document.querySelectorAll("script[data-texts], #texts")) {
    const prefix = part.dataset.texts ?? "";
    for (const [key, text] of Object.entries(JSON.parse(part.textContent))) yield [prefix + key, text];
  }
}

/** The text of this key with its places filled: say("left", { time: "3 min" }). */
export function say(key, places = {}) {
  texts ??= Object.fromEntries([...found()]);
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => places[name] ?? whole);
}

/** The form of a text that fits a number, which fills `{count}`. */
export function sayCount(key, count, places = {}) {
  const form = count === 1 ? "one" : "other";
  return say(`${key}.${form}`, { count: count.toLocaleString(document.documentElement.lang), ...places });
}
