// The two charts above the items: how sure the detector was, and at what hour they were taken;
// and what all of the review's drawings are made with.

"use strict";
{
  const review = globalThis.grangeReview;
  const SVG = "http://www.w3.org/2000/svg";
  const BINS = 25;
  const HOURS = 24;
  const MOST_SERIES = 5;
  const HIGH = 100;
  // A bar that is not zero is seen.
  const LEAST = 2;
  const PALETTE = ["#3f8fd2", "#e0922f", "#3aa583", "#c565a5", "#8f7ae0", "#b5a02a", "#d5604c", "#4fb3bf"];

  const colourOf = (number) => PALETTE[number % PALETTE.length];

  /** An element with attributes and what is in it; text is always text. */
  function make(name, attributes = {}, ...inside) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...inside.filter((one) => one !== null && one !== undefined && one !== ""));
    return made;
  }

  function draw(name, attributes, words = "") {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (words) made.append(Object.assign(document.createElementNS(SVG, "title"), { textContent: words }));
    return made;
  }

  const percent = (share) => `${Math.round(share * 100)} %`;

  /** How many items have which best confidence; what lies below the least is pale. */
  function confidence(place, entries, least, say) {
    const counts = new Array(BINS).fill(0);
    for (const entry of entries) if (entry.best > 0) counts[Math.min(BINS - 1, Math.floor(entry.best * BINS))] += 1;
    const most = Math.max(1, ...counts);
    const bars = counts.map((count, bin) => {
      const height = count ? Math.max(LEAST, (count / most) * HIGH) : 0;
      const span = { from: percent(bin / BINS), to: percent((bin + 1) / BINS), count };
      const middle = (bin + 0.5) / BINS;
      return draw("rect", { x: bin * 4 + 0.3, width: 3.4, y: HIGH - height, height, class: middle < least ? "below" : "at" }, say("confidence.bar", span));
    });
    const above = entries.filter((entry) => entry.best >= least).length;
    const list = [say("confidence.above", { count: above, least: percent(least) }), say("confidence.below", { count: entries.length - above, least: percent(least) })];
    picture(place, bars, say("confidence.words", { list: list.join(", ") }));
  }

  /** At what hour items were taken, one colour for each of the most frequent species. */
  function hours(place, legend, entries, wanted, say) {
    const timed = entries.filter((entry) => entry.hour !== null);
    const groups = new Map();
    for (const entry of timed) {
      for (const name of namesOf(entry, wanted, say)) {
        if (!groups.has(name)) groups.set(name, new Array(HOURS).fill(0));
        groups.get(name)[entry.hour] += 1;
      }
    }
    const series = topmost(groups, say("hours.rest"));
    const totals = Array.from({ length: HOURS }, (_, hour) => series.reduce((sum, [, counts]) => sum + counts[hour], 0));
    const most = Math.max(1, ...totals);
    const bars = [];
    for (let hour = 0; hour < HOURS; hour += 1) {
      let top = HIGH;
      series.forEach(([name, counts], number) => {
        if (!counts[hour]) return;
        const height = (counts[hour] / most) * HIGH;
        top -= height;
        const words = say("hours.bar", { hour: clock(hour), name, count: counts[hour] });
        const bar = draw("rect", { x: (hour * 100) / HOURS + 0.4, width: 100 / HOURS - 0.8, y: top, height }, words);
        bar.style.fill = colourOf(number);
        bars.push(bar);
      });
    }
    const told = totals.flatMap((count, hour) => (count ? [`${clock(hour)} ${count}`] : []));
    picture(place, bars, say("hours.words", { list: told.join(", ") }));
    legend.replaceChildren(
      ...series.map(([name], number) => {
        const mark = make("i", { "aria-hidden": "true" });
        mark.style.background = colourOf(number);
        return make("li", {}, mark, name);
      }),
    );
    return { timed: timed.length, left: entries.length - timed.length };
  }

  const clock = (hour) => `${String(hour).padStart(2, "0")}:00`;

  /** What is counted of an item: its species, or else what the detector saw; of the chosen kind alone. */
  function namesOf(entry, { least, kind: only }, say) {
    const kinds = review.kindsOf(entry, least).filter((kind) => kind !== "empty" && kind !== "failed" && (!only || kind === only));
    const species = kinds.includes("animal") ? entry.species.slice(0, 1).map(([name]) => name) : [];
    return [...species, ...kinds.filter((kind) => kind !== "animal" || !species.length).map((kind) => review.named(say, "one", kind))];
  }

  function topmost(groups, rest) {
    const sum = (counts) => counts.reduce((one, other) => one + other, 0);
    const sorted = [...groups].sort((one, other) => sum(other[1]) - sum(one[1]) || (one[0] < other[0] ? -1 : 1));
    const shown = sorted.slice(0, MOST_SERIES);
    const others = sorted.slice(MOST_SERIES);
    if (others.length) shown.push([rest, others[0][1].map((_, hour) => others.reduce((total, [, counts]) => total + counts[hour], 0))]);
    return shown;
  }

  function picture(place, bars, words) {
    const made = draw("svg", { viewBox: `0 0 100 ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": words });
    made.append(...bars);
    place.replaceChildren(made);
  }

  // ---- words and colours that all scripts share

  /** The word for a kind; one that a detector made up is its own word. */
  review.named = (say, form, kind) => {
    const key = `${form}.${kind}`;
    const words = say(key);
    return words === key ? kind : words;
  };
  /** 0:04.2, 1:02:05; with so many digits after the second. */
  review.time = (seconds, digits = 1) => {
    const scale = 10 ** digits;
    const ticks = Math.round(seconds * scale);
    const whole = Math.floor(ticks / scale);
    const two = (number) => String(number).padStart(2, "0");
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    if (hours) return `${hours}:${two(minutes)}:${two(whole % 60)}`;
    const rest = digits ? `.${String(ticks % scale).padStart(digits, "0")}` : "";
    return `${minutes}:${two(whole % 60)}${rest}`;
  };
  Object.assign(review, { make, draw, percent, colourOf, confidence, hours });
}
