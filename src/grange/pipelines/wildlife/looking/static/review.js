// A review: all items of a run as pictures, to be filtered, sorted and opened.
//
// `grangeReview.show(place, source)` builds it into an element and gives an object whose
// `take(list)` is told of items, again and again, and `ready()` when the first lot is there.
// An item is {id, path, href, result, failure}. The source is an object with
//   texts            words by their keys
//   names            what the numbers in details mean, as far as it is known beforehand
//   file(entry, name)  the address of one of the item's files
//   links(entry)     [{words, href}] that lead on from an item
//   and either
//   detail(entry)    a promise of {detail, names, plots}
//   or
//   outputs(entry)   a promise of [{name, size, bytes}], all files of an item
//   json(entry, name)  a promise of what is in one of them
// Where it all comes from, from files beside the page or from a server, is the source's business.

"use strict";
{
  const review = globalThis.grangeReview;
  const { make } = review;
  // What shows one item is loaded with the first one that is opened.
  const HERE = document.currentScript.src;
  const LATER = ["stage.js", "documents.js", "item.js"];
  const CHUNK = 60;
  const PATIENCE = 150;
  const SHAPES = { animal: "●", person: "▲", vehicle: "■", empty: "○", failed: "◆" };

  /** A kind's shape, colour and word. */
  review.mark = (kind, say, words = review.named(say, "one", kind)) =>
    make("span", { class: "look-kind" }, make("i", { "data-kind": kind, "aria-hidden": "true" }, SHAPES[kind] ?? "◇"), words);

  function sayer(texts) {
    const language = document.documentElement.lang || undefined;
    const say = (key, places = {}) =>
      (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => {
        const value = places[name];
        return value === undefined ? whole : typeof value === "number" ? value.toLocaleString(language) : value;
      });
    say.n = (key, count, places = {}) => say(`${key}.${count === 1 ? "one" : "other"}`, { count, ...places });
    return say;
  }

  class Review {
    constructor(place, source) {
      Object.assign(this, { place, source, say: sayer(source.texts), entries: new review.Entries() });
      this.typical = source.names?.typical ?? 0.2;
      this.cards = new Map();
      this.shown = CHUNK;
      this.timer = 0;
      this.complete = false;
      this.read();
      this.build();
      this.item = null;
      addEventListener("hashchange", () => {
        this.read();
        this.controls();
        this.render();
        this.follow();
      });
    }

    take(list) {
      this.entries.take(list);
      this.settle(list);
      this.soon();
    }

    /** From when on a find counts is what the run says, until somebody says otherwise. */
    settle(list) {
      const typical = list.map(({ result }) => result?.typical).find((one) => one >= 0);
      if (this.settled || typical === undefined) return;
      this.settled = true;
      this.typical = typical;
      this.read();
      this.controls();
    }

    ready() {
      this.complete = true;
      this.choices();
      this.render();
      this.follow();
    }

    /** Draw again before long, however often this is asked for. */
    soon() {
      this.timer ||= setTimeout(() => {
        this.timer = 0;
        this.choices();
        this.render();
        if (this.complete && this.wanted.item && !this.item?.open) this.follow();
      }, PATIENCE);
    }

    // ---- the address

    read() {
      const given = new URLSearchParams(location.hash.slice(1));
      const least = Number.parseFloat(given.get("least"));
      this.wanted = {
        kind: given.get("kind") ?? "",
        species: given.get("species") ?? "",
        folder: given.get("folder") ?? "",
        text: given.get("text") ?? "",
        sort: review.sorts.includes(given.get("sort")) ? given.get("sort") : "name",
        least: least >= 0 && least <= 1 ? least : this.typical,
        item: given.get("item") ?? "",
      };
    }

    address(more = {}) {
      const given = new URLSearchParams();
      for (const [key, value] of Object.entries({ ...this.wanted, ...more })) {
        const usual = key === "sort" ? "name" : key === "least" ? this.typical : "";
        if (value !== usual) given.set(key, value);
      }
      return `#${given}`;
    }

    want(more) {
      Object.assign(this.wanted, more);
      this.shown = CHUNK;
      history.replaceState(null, "", this.address());
      this.render();
    }

    // ---- what stands there all the time

    build() {
      const { say } = this;
      this.kinds = make("div", { class: "look-kinds", role: "group", "aria-label": say("kinds") });
      this.least = make("input", { type: "range", min: 0, max: 1, step: 0.01, id: "look-least", "aria-describedby": "look-least-hint" });
      this.leastSaid = make("output", { for: "look-least" });
      this.histogram = make("div", { class: "look-chart" });
      this.hours = make("div", { class: "look-chart" });
      this.legend = make("ul", { class: "look-legend plain" });
      this.without = make("p", { class: "hint" });
      this.text = make("input", { type: "search", placeholder: say("filter.text"), "aria-label": say("filter.text"), maxlength: 200 });
      this.species = make("select", { "aria-label": say("filter.species") });
      this.folder = make("select", { "aria-label": say("filter.folder") });
      this.sort = make("select", { "aria-label": say("filter.sort") }, ...review.sorts.map((one) => make("option", { value: one }, say(`sort.${one}`))));
      this.count = make("p", { class: "total", role: "status" });
      this.grid = make("ul", { class: "look-grid plain" });
      this.nothing = make("div", { class: "empty", hidden: true });
      this.more = make("button", { type: "button", class: "button", hidden: true }, say("more"));
      const activity = make("section", { class: "panel" }, make("h2", {}, say("hours.title")), this.hours, make("p", { class: "look-axis", "aria-hidden": "true" }, ...["00", "06", "12", "18", "24"].map((one) => make("span", {}, one))), this.legend, this.without);
      this.place.classList.add("look");
      this.place.replaceChildren(
        this.kinds,
        make("div", { class: "look-charts" },
          make("section", { class: "panel" }, make("h2", {}, say("confidence.title")), this.histogram, this.least,
            make("p", {}, make("label", { for: "look-least" }, say("filter.least")), " ", this.leastSaid, " ", make("span", { class: "hint", id: "look-least-hint" }, say("confidence.hint")))),
          activity),
        make("form", { class: "filter", "aria-label": say("filter.label") }, this.text, this.species, this.folder, this.sort, this.count),
        this.grid, this.nothing, make("p", { class: "look-more" }, this.more), make("p", { class: "hint" }, say("hint")));
      this.listen();
      this.controls();
    }

    listen() {
      this.place.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
      this.text.addEventListener("input", () => this.want({ text: this.text.value }));
      this.least.addEventListener("input", () => this.want({ least: Number(this.least.value) }));
      for (const name of ["species", "folder", "sort"]) this[name].addEventListener("change", () => this.want({ [name]: this[name].value }));
      this.more.addEventListener("click", () => this.grow());
      this.grid.addEventListener("keydown", (event) => this.key(event));
      this.grid.addEventListener("focusin", (event) => this.here(event.target.closest("a")));
      this.grid.addEventListener("click", (event) => {
        const card = event.target.closest("a");
        if (!card || event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        this.open(card.dataset.id);
      });
      new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && !this.more.hidden && this.grow(), { rootMargin: "600px" }).observe(this.more);
    }

    /** Let the fields say what is wanted. */
    controls() {
      const { wanted } = this;
      if (this.text.value !== wanted.text) this.text.value = wanted.text;
      this.least.value = wanted.least;
      this.sort.value = wanted.sort;
      this.choices();
    }

    /** What there is to choose from, with counts. */
    choices() {
      const { say, wanted } = this;
      const species = this.entries.tally((entry) => entry.species.map(([name]) => name));
      options(this.species, say("filter.any_species"), species, wanted.species);
      const folders = this.entries.tally((entry) => [entry.folder || "/"]).sort((one, other) => (one[0] < other[0] ? -1 : 1));
      options(this.folder, say("filter.any_folder"), folders, wanted.folder, (name) => (name === "/" ? say("filter.top_folder") : name));
      this.folder.hidden = folders.length < 2 && !wanted.folder;
    }

    // ---- what changes

    render() {
      const { say, wanted } = this;
      const { before, counts, list } = this.entries.view(wanted);
      this.list = list;
      this.chips(counts);
      this.leastSaid.textContent = review.percent(wanted.least);
      this.least.setAttribute("aria-valuetext", review.percent(wanted.least));
      review.confidence(this.histogram, before.filter((entry) => !entry.failure), wanted.least, say);
      const { timed, left } = review.hours(this.hours, this.legend, list, wanted, say);
      this.without.textContent = !timed ? say("hours.none") : left ? say.n("hours.without", left) : "";
      this.count.textContent = say.n("shown", list.length);
      this.paint();
      this.empty(counts.get(""), list.length);
    }

    chips(counts) {
      const kinds = ["", ...this.entries.kinds()];
      const old = new Map([...this.kinds.children].map((one) => [one.dataset.kind, one]));
      const made = kinds.map((kind) => {
        const chip = old.get(kind) ?? this.chip(kind);
        chip.setAttribute("aria-pressed", String(this.wanted.kind === kind));
        chip.querySelector("b").textContent = (counts.get(kind) ?? 0).toLocaleString(document.documentElement.lang || undefined);
        return chip;
      });
      if (made.length !== old.size) this.kinds.replaceChildren(...made);
    }

    chip(kind) {
      const { say } = this;
      const words = kind ? review.mark(kind, say, review.named(say, "kind", kind)) : say("all");
      const chip = make("button", { type: "button", class: "button", "data-kind": kind }, words, " ", make("b", {}));
      chip.addEventListener("click", () => this.want({ kind }));
      return chip;
    }

    /** The cards of the items that are wanted; those that stay keep their place in the page. */
    paint() {
      const list = this.list.slice(0, this.shown);
      list.forEach((entry, place) => {
        const card = this.card(entry);
        if (this.grid.children[place] !== card) this.grid.insertBefore(card, this.grid.children[place] ?? null);
      });
      while (this.grid.children.length > list.length) this.grid.lastElementChild.remove();
      this.more.hidden = this.shown >= this.list.length;
      this.here(this.grid.querySelector('a[tabindex="0"]') ?? this.grid.querySelector("a"));
    }

    grow() {
      this.shown += CHUNK;
      this.paint();
    }

    empty(all, count) {
      this.nothing.hidden = count > 0 || (!all && !this.complete);
      if (this.nothing.hidden) return;
      const { say } = this;
      const none = this.entries.byId.size ? "none" : "empty";
      const clear = make("button", { type: "button", class: "button" }, say("clear"));
      clear.addEventListener("click", () => {
        this.want({ kind: "", species: "", folder: "", text: "" });
        this.controls();
      });
      this.nothing.replaceChildren(make("p", {}, make("b", {}, say(none))), make("p", { class: "quiet" }, say(`${none}_hint`)), none === "none" ? clear : "");
    }

    // ---- cards

    card(entry) {
      const key = `${entry.id}`;
      const known = this.cards.get(key);
      const kinds = review.kindsOf(entry, this.wanted.least);
      if (known?.entry === entry && known.kinds === `${kinds}`) return known.card;
      const link = make("a", { href: this.address({ item: key }), "data-id": key, tabindex: known?.card.firstElementChild.getAttribute("tabindex") ?? -1 }, this.picture(entry), ...this.words(entry, kinds));
      const card = known?.card ?? make("li", {});
      const had = card.contains(document.activeElement);
      card.replaceChildren(link);
      if (had) link.focus();
      this.cards.set(key, { entry, kinds: `${kinds}`, card });
      return card;
    }

    picture(entry) {
      const box = make("span", { class: "look-thumb" });
      const { thumb } = entry.result;
      if (thumb && !entry.failure) {
        const image = make("img", { src: this.source.file(entry, thumb), alt: "", loading: "lazy", decoding: "async" });
        image.addEventListener("error", () => image.remove());
        box.append(image);
      } else if (entry.failure) {
        box.append(make("span", { class: "look-reason" }, entry.failure));
      }
      if (entry.isVideo && entry.seconds) box.append(make("span", { class: "look-length" }, "▶ ", review.time(entry.seconds, 0)));
      return box;
    }

    words(entry, kinds) {
      const { say } = this;
      const told = kinds.flatMap((kind) => {
        const one = entry.found[kind];
        const species = kind === "animal" ? entry.species[0]?.[0] : "";
        const named = `${species || review.named(say, "one", kind)} ${one ? review.percent(one.conf) : ""}`;
        const words = [named.trim(), one?.tracks > 1 && say.n("tracks", one.tracks)];
        return [review.mark(kind, say, words.filter(Boolean).join(" · ")), " "];
      });
      const where = [entry.folder, entry.taken.slice(0, 16).replace("T", " ")].filter(Boolean).join(" · ");
      return [make("b", {}, make("bdi", {}, entry.name)), make("span", { class: "look-told" }, ...told), where ? make("small", {}, make("bdi", {}, where)) : ""];
    }

    // ---- walking through them

    here(card) {
      if (!card) return;
      for (const one of this.grid.querySelectorAll('a[tabindex="0"]')) if (one !== card) one.tabIndex = -1;
      card.tabIndex = 0;
    }

    key(event) {
      const cards = [...this.grid.querySelectorAll("a")];
      const at = cards.indexOf(event.target.closest("a"));
      if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
      const top = cards[0].offsetTop;
      const columns = Math.max(1, cards.findIndex((one) => one.offsetTop > top));
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: cards.length - 1 - at };
      if (!(event.key in steps)) return;
      event.preventDefault();
      const next = at + steps[event.key];
      if (next >= cards.length && !this.more.hidden) {
        this.grow();
        this.grid.querySelectorAll("a")[next]?.focus();
      } else cards[next]?.focus();
    }

    open(id) {
      history.pushState(null, "", this.address({ item: id }));
      this.wanted.item = id;
      this.follow();
    }

    /** Show the item that the address names, or none. */
    async follow() {
      const wanted = () => [...this.entries.byId.values()].find((one) => `${one.id}` === this.wanted.item);
      if (!wanted()) {
        this.item?.close();
        return;
      }
      await (this.loading ??= load());
      this.item ??= new review.ItemView(this.place, this.source, this.say, { walk: (step) => this.walk(step), closed: () => this.leave() });
      const entry = wanted();
      if (!entry || (this.item.open && this.item.entry === entry)) return;
      this.item.show(entry, review.kindsOf(entry, this.wanted.least), this.wanted.least);
    }

    walk(step) {
      const at = this.list.findIndex((one) => `${one.id}` === this.wanted.item);
      const next = this.list[at + step];
      if (!next) return;
      this.wanted.item = `${next.id}`;
      history.replaceState(null, "", this.address());
      this.follow();
    }

    /** The item was closed: the focus goes back to where its card is. */
    leave() {
      const id = this.wanted.item;
      this.wanted.item = "";
      history.replaceState(null, "", this.address());
      const place = this.list.findIndex((one) => `${one.id}` === id);
      while (place >= this.shown) this.grow();
      this.cards.get(id)?.card.querySelector("a")?.focus();
    }
  }

  function options(select, any, rows, chosen, words = (name) => name) {
    const wanted = rows.some(([name]) => name === chosen) || !chosen ? rows : [...rows, [chosen, 0]];
    const key = JSON.stringify(wanted);
    if (select.dataset.key !== key) {
      select.dataset.key = key;
      select.replaceChildren(make("option", { value: "" }, any), ...wanted.map(([name, count]) => make("option", { value: name }, `${words(name)} (${count})`)));
    }
    select.value = chosen;
  }

  function load() {
    const each = LATER.map((name) => {
      const script = make("script", { src: new URL(name, HERE).href });
      // In their order, each when it is there.
      script.async = false;
      document.head.append(script);
      return new Promise((loaded, failed) => {
        script.addEventListener("load", loaded);
        script.addEventListener("error", failed);
      });
    });
    return Promise.all(each);
  }

  review.show = (place, source) => new Review(place, source);
}
