// The items of a review: what each of them is, which of them are wanted, in which order.
//
// The scripts of a review are classic ones, since a page on the disk may load no
// modules. Together they define `grangeReview.show(place, source)`; see review.js.

"use strict";
globalThis.grangeReview = globalThis.grangeReview ?? {};
{
  const FIRST = ["animal", "person", "vehicle"];
  const LAST = ["empty", "failed"];
  const HOUR = /[T ](\d\d):/;
  const names = new Intl.Collator(undefined, { numeric: true });
  const SORTS = {
    name: (one, other) => names.compare(one.path, other.path),
    time: (one, other) => byTime(one, other) || SORTS.name(one, other),
    newest: (one, other) => (one.taken && other.taken ? -byTime(one, other) : byTime(one, other)) || SORTS.name(one, other),
    sure: (one, other) => other.best - one.best || SORTS.name(one, other),
    unsure: (one, other) => one.best - other.best || SORTS.name(one, other),
  };

  /** Those that say no time come last, whichever way it goes. */
  function byTime(one, other) {
    if (one.taken && other.taken) return one.taken < other.taken ? -1 : one.taken > other.taken ? 1 : 0;
    return one.taken ? -1 : other.taken ? 1 : 0;
  }

  /** An item as the page needs it, from what the run recorded of it; odd records do no harm. */
  function entryOf(given) {
    const result = given.result && typeof given.result === "object" ? given.result : {};
    const found = {};
    for (const [kind, one] of Object.entries(result.found ?? {})) {
      found[kind] = { conf: Number(one?.conf) || 0, detections: Number(one?.detections) || 0, tracks: Number(one?.tracks) || 0 };
    }
    const path = String(given.path);
    const cut = path.lastIndexOf("/");
    const taken = typeof result.taken === "string" ? result.taken : "";
    return {
      ...given,
      result,
      found,
      path,
      name: path.slice(cut + 1),
      folder: cut < 0 ? "" : path.slice(0, cut),
      failure: given.failure || "",
      best: Math.max(0, ...Object.values(found).map((one) => one.conf)),
      species: Object.entries(result.species ?? {}).map(([name, conf]) => [name, Number(conf) || 0]).sort((one, other) => other[1] - one[1]),
      taken,
      hour: HOUR.test(taken) ? Number(HOUR.exec(taken)[1]) % 24 : null,
      seconds: Number(result.seconds) || 0,
      isVideo: result.kind === "video",
    };
  }

  /** What an item is, seen from this confidence: several kinds at once, or empty, or failed. */
  function kindsOf(entry, least) {
    if (entry.failure) return ["failed"];
    const seen = Object.keys(entry.found).filter((kind) => entry.found[kind].conf >= least);
    // In the same order everywhere, whichever was found first.
    return seen.length ? seen.sort((one, other) => rank(one) - rank(other)) : ["empty"];
  }

  const rank = (kind) => (FIRST.includes(kind) ? FIRST.indexOf(kind) : FIRST.length);

  class Entries {
    constructor() {
      this.byId = new Map();
    }

    /** Take items in; one that is known already is replaced. */
    take(list) {
      for (const given of list) {
        const entry = entryOf(given);
        this.byId.set(entry.id, entry);
      }
    }

    get all() {
      return [...this.byId.values()];
    }

    /** The kinds that there can be, the usual ones first. */
    kinds() {
      const seen = new Set(FIRST);
      for (const entry of this.byId.values()) for (const kind of Object.keys(entry.found)) seen.add(kind);
      return [...seen, ...LAST];
    }

    /** How many items have which value of `of`, the most frequent first. */
    tally(of) {
      const counts = new Map();
      for (const entry of this.byId.values()) for (const one of of(entry)) counts.set(one, (counts.get(one) ?? 0) + 1);
      return [...counts].sort((one, other) => other[1] - one[1] || names.compare(one[0], other[0]));
    }

    /** Everything that a view shows: the items in order, those before the choice of a kind, their counts. */
    view(wanted) {
      const text = wanted.text.trim().toLowerCase();
      const before = this.all.filter(
        (entry) =>
          (!wanted.folder || (entry.folder || "/") === wanted.folder) &&
          (!wanted.species || entry.species.some(([name]) => name === wanted.species)) &&
          (!text || entry.path.toLowerCase().includes(text)),
      );
      const counts = new Map([["", before.length]]);
      const kept = [];
      for (const entry of before) {
        const kinds = kindsOf(entry, wanted.least);
        for (const kind of kinds) counts.set(kind, (counts.get(kind) ?? 0) + 1);
        if (!wanted.kind || kinds.includes(wanted.kind)) kept.push(entry);
      }
      return { before, counts, list: kept.sort(SORTS[wanted.sort] ?? SORTS.name) };
    }
  }

  Object.assign(globalThis.grangeReview, { Entries, kindsOf, sorts: Object.keys(SORTS) });
}
