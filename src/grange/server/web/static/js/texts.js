// The words that scripts put on a page: the server sends them along, in the page's language.

let texts = null;

/** The text of this key with its places filled: say("left", { time: "3 min" }). */
export function say(key, places = {}) {
  texts ??= JSON.parse(document.getElementById("texts")?.textContent ?? "{}");
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => places[name] ?? whole);
}

/** The form of a text that fits a number, which fills `{count}`. */
export function sayCount(key, count, places = {}) {
  const form = count === 1 ? "one" : "other";
  return say(`${key}.${form}`, { count: count.toLocaleString("en"), ...places });
}
