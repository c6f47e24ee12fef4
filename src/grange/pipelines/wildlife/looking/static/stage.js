// What was found in a video, in time with it: poses beside it, tracks and likelihoods below.

"use strict";
{
  const review = globalThis.grangeReview;
  const { make, draw } = review;
  const MOST_LANES = 40;
  const WIDE = 1000;
  const LANE = 16;
  const LINE = 72;
  // A likelihood above this is drawn whole, one below it pale.
  const SURE = 0.6;
  const TRAIL = 12;
  // Points of a line that can be told apart on a page.
  const MOST_POINTS = 1500;

  /** The frames of an item in the order of time, and its tracks. */
  class Found {
    /** Of what was found, individuals count that were seen this surely at least once. */
    constructor(detail, names, seconds, least) {
      const { rate, processed = [], times = [] } = detail;
      const at = new Map(times.length ? processed.map((frame, place) => [frame, times[place]]) : []);
      this.timeOf = (frame) => at.get(frame) ?? (rate ? frame / rate : 0);
      this.names = names;
      const rows = detail.rows.map(([frame, category, conf, box, track, species, sure, pose]) => ({ frame: frame ?? 0, category, conf, box, track, species, sure, pose: pose ?? [] }));
      this.rows = sureOf(rows, least);
      const byFrame = new Map(processed.map((frame) => [frame, []]));
      for (const row of this.rows) byFrame.has(row.frame) ? byFrame.get(row.frame).push(row) : byFrame.set(row.frame, [row]);
      this.frames = [...byFrame.keys()].sort((one, other) => one - other);
      this.byFrame = byFrame;
      this.times = this.frames.map(this.timeOf);
      // Halfway to the next frame of the original: a decoder's clock and ours may differ by rounding.
      this.slack = rate ? Math.min(0.5 / rate, 0.02) : 0.002;
      this.seconds = Math.max(seconds || 0, this.times.at(-1) ?? 0);
      this.tracks = this.group();
    }

    /** The place of the analysed frame that is shown at this time. */
    placeAt(time) {
      let [low, high] = [0, this.frames.length - 1];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (this.times[middle] <= time + this.slack) low = middle;
        else high = middle - 1;
      }
      return low;
    }

    group() {
      const groups = new Map();
      for (const row of this.rows) {
        const key = row.track ?? `-${row.category}`;
        if (!groups.has(key)) groups.set(key, { key, track: row.track, category: row.category, rows: [] });
        groups.get(key).rows.push(row);
      }
      const found = [...groups.values()].sort((one, other) => (one.track ?? Infinity) - (other.track ?? Infinity) || one.rows[0].frame - other.rows[0].frame);
      found.forEach((one, number) => {
        one.rows.sort((a, b) => a.frame - b.frame);
        one.colour = review.colourOf(number);
        for (const row of one.rows) row.owner = one;
        one.best = one.rows.reduce((most, row) => Math.max(most, row.conf), 0);
        [one.species, one.sure] = speciesOf(one.rows);
      });
      return found;
    }

    /** What an individual is called: its species, or else what the detector says. */
    named(one, say) {
      return this.names.species[one.species] ?? review.named(say, "one", this.names.categories[one.category] ?? one.category);
    }

    /** From when to when an individual is there: neighbours in time are one stretch. */
    stretches(one) {
      const gaps = this.times.slice(1).map((time, place) => time - this.times[place]);
      const usual = gaps.length ? gaps.sort((a, b) => a - b)[gaps.length >> 1] : 0.2;
      const found = [];
      for (const row of one.rows) {
        const time = this.timeOf(row.frame);
        const last = found.at(-1);
        if (last && time - last[1] <= usual * 2.5) last[1] = time + usual;
        else found.push([time, time + usual]);
      }
      return found;
    }
  }

  function sureOf(rows, least) {
    const best = new Map();
    for (const { track, conf } of rows) if (track !== null && track !== undefined) best.set(track, Math.max(conf, best.get(track) ?? 0));
    return rows.filter(({ track, conf }) => (best.get(track) ?? conf) >= least);
  }

  function speciesOf(rows) {
    const sums = new Map();
    for (const { species, sure } of rows) if (species !== null && species !== undefined) sums.set(species, (sums.get(species) ?? 0) + sure);
    const [best] = [...sums].sort((one, other) => other[1] - one[1]);
    if (!best) return [null, 0];
    return [best[0], best[1] / rows.filter((row) => row.species === best[0]).length];
  }

  // ---- the picture of one frame

  /** Draw boxes, skeletons and short trails of what is in the frame at this place. */
  function paint(canvas, found, place) {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio)) Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.lineJoin = pen.lineCap = "round";
    for (const row of found.byFrame.get(found.frames[place]) ?? []) {
      trail(pen, found, row, place, width, height);
      box(pen, row, width, height);
      skeleton(pen, found.names, row, width, height);
    }
  }

  function trail(pen, found, row, place, width, height) {
    if (row.track === null || row.track === undefined) return;
    const first = found.frames[Math.max(0, place - TRAIL)];
    const past = row.owner.rows.filter((one) => one.frame >= first && one.frame <= row.frame);
    pen.strokeStyle = row.owner.colour;
    pen.globalAlpha = 0.35;
    pen.lineWidth = 2;
    pen.beginPath();
    for (const { box: [x, y, wide, high] } of past) pen.lineTo((x + wide / 2) * width, (y + high / 2) * height);
    pen.stroke();
    pen.globalAlpha = 1;
  }

  function box(pen, row, width, height) {
    const [x, y, wide, high] = row.box;
    pen.strokeStyle = row.owner.colour;
    pen.lineWidth = 1.5;
    pen.setLineDash(row.pose.length ? [4, 4] : []);
    pen.strokeRect(x * width, y * height, wide * width, high * height);
    pen.setLineDash([]);
  }

  function skeleton(pen, names, row, width, height) {
    const places = new Map(names.keypoints.map((name, number) => [name, number]));
    const point = (number) => [row.pose[number * 3] * width, row.pose[number * 3 + 1] * height, row.pose[number * 3 + 2]];
    pen.strokeStyle = pen.fillStyle = row.owner.colour;
    pen.lineWidth = 2.5;
    for (const [one, other] of row.pose.length ? names.skeleton : []) {
      const [[x1, y1, sure1], [x2, y2, sure2]] = [point(places.get(one)), point(places.get(other))];
      pen.globalAlpha = Math.min(sure1, sure2) >= SURE ? 1 : 0.2;
      pen.beginPath();
      pen.moveTo(x1, y1);
      pen.lineTo(x2, y2);
      pen.stroke();
    }
    for (let number = 0; number * 3 < row.pose.length; number += 1) {
      const [x, y, sure] = point(number);
      pen.globalAlpha = sure >= SURE ? 1 : 0.25;
      pen.beginPath();
      pen.arc(x, y, 3, 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
  }

  // ---- tracks and lines over time

  /** A lane for each individual, and one with lines; gives what moves the mark of the time. */
  function lanes(place, found, say, seek) {
    const heads = [];
    const x = (time) => (found.seconds ? (time / found.seconds) * WIDE : 0);
    const lane = (height, parts, words) => {
      const head = draw("line", { x1: 0, x2: 0, y1: 0, y2: height, class: "now" });
      const made = draw("svg", { viewBox: `0 0 ${WIDE} ${height}`, preserveAspectRatio: "none", class: height > LANE ? "line" : "", ...(words ? { role: "img", "aria-label": words } : { "aria-hidden": "true" }) });
      made.append(...parts, head);
      made.addEventListener("click", (event) => {
        const { left, width } = made.getBoundingClientRect();
        seek(((event.clientX - left) / width) * found.seconds);
      });
      heads.push(head);
      return made;
    };
    const rows = found.tracks.slice(0, MOST_LANES).map((one) => row(one, found, say, seek, x, lane));
    const posed = found.rows.some((one) => one.pose.length);
    const lines = found.tracks.slice(0, MOST_LANES).map((one) => line(one, found, x, posed ? likelihoodOf : (each) => each.conf));
    const key = posed ? "item.likelihood" : "item.confidence";
    rows.push(make("li", {}, make("span", { class: "quiet" }, say(key)), lane(LINE, lines, say(`${key}_words`))));
    rows.push(make("li", { class: "axis", "aria-hidden": "true" }, make("span"), axis(found.seconds)));
    place.replaceChildren(...rows);
    return (time) => {
      for (const head of heads) {
        head.setAttribute("x1", x(time).toFixed(1));
        head.setAttribute("x2", x(time).toFixed(1));
      }
    };
  }

  function row(one, found, say, seek, x, lane) {
    const mark = make("i", { "aria-hidden": "true" });
    mark.style.background = one.colour;
    const [[begin]] = found.stretches(one);
    const tracked = one.track !== null && one.track !== undefined;
    const named = `${tracked ? say("item.track", { track: one.track }) : say("item.no_track")} ${found.named(one, say)}`;
    const button = make("button", { type: "button", class: "link", title: say("item.seek", { time: review.time(begin) }) }, mark, named);
    button.addEventListener("click", () => seek(begin));
    const facts = say("item.track_facts", { sure: review.percent(one.species === null ? one.best : one.sure), count: say.n("frames", one.rows.length) });
    const parts = found.stretches(one).map(([from, to]) => {
      const bar = draw("rect", { x: x(from).toFixed(1), y: 2, width: Math.max(3, x(Math.min(to, found.seconds)) - x(from)).toFixed(1), height: LANE - 4, rx: 2 });
      bar.style.fill = one.colour;
      return bar;
    });
    return make("li", {}, make("span", {}, button, make("small", { class: "quiet" }, facts)), lane(LANE, parts));
  }

  function likelihoodOf({ pose }) {
    if (!pose.length) return null;
    let sum = 0;
    for (let place = 2; place < pose.length; place += 3) sum += pose[place];
    return sum / (pose.length / 3);
  }

  function line(one, found, x, valueOf) {
    const step = Math.ceil(one.rows.length / MOST_POINTS);
    const ends = found.stretches(one).map(([, to]) => to);
    const points = [];
    let begun = -1;
    for (let place = 0; place < one.rows.length; place += step) {
      const time = found.timeOf(one.rows[place].frame);
      const value = valueOf(one.rows[place]);
      if (value === null) continue;
      // Each stretch is a line of its own.
      const stretch = ends.findIndex((end) => time <= end);
      points.push(`${stretch === begun ? "L" : "M"}${x(time).toFixed(1)} ${((1 - value) * (LINE - 6) + 3).toFixed(1)}`);
      begun = stretch;
    }
    const made = draw("path", { d: points.join("") });
    made.style.stroke = one.colour;
    return made;
  }

  function axis(seconds) {
    const marks = [0, 0.25, 0.5, 0.75, 1].map((share) => make("span", {}, review.time(seconds * share)));
    return make("p", { class: "look-axis" }, ...marks);
  }

  Object.assign(review, { Found, paint, lanes, MOST_LANES });
}
