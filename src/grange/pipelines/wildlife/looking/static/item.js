// One item: its labelled video beside its poses, its tracks below, facts and plots.

"use strict";
{
  const review = globalThis.grangeReview;
  const { make } = review;
  // Whoever wants little motion starts it.
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const PLOTS = ["trajectory", "plot", "plot-likelihood", "hist"];
  const SPEEDS = [0.25, 0.5, 1, 2];

  class ItemView {
    /** `walk(step)` leads to another item, `closed()` is told when nobody looks any more. */
    constructor(place, source, say, { walk, closed }) {
      Object.assign(this, { source, say, walk });
      this.dialog = make("dialog", { class: "look-item", "aria-labelledby": "look-item-title" });
      place.append(this.dialog);
      this.dialog.addEventListener("close", () => {
        this.stop();
        closed();
      });
      this.dialog.addEventListener("keydown", (event) => this.key(event));
      this.entry = null;
    }

    get open() {
      return this.dialog.open;
    }

    close() {
      if (this.dialog.open) this.dialog.close();
    }

    /** Show an item; what is known of its frames comes a moment later. */
    async show(entry, kinds, least) {
      this.stop();
      Object.assign(this, { entry, least });
      const had = this.dialog.contains(document.activeElement) ? document.activeElement.dataset.step : "";
      this.dialog.replaceChildren(this.head(entry, kinds), this.media(entry), this.facts(entry));
      this.dialog.scrollTop = 0;
      if (!this.dialog.open) this.dialog.showModal();
      (this.dialog.querySelector(`[data-step="${had || 1}"]`) ?? this.dialog).focus();
      await this.fill(entry);
    }

    stop() {
      this.ended?.abort();
      const video = this.dialog.querySelector("video");
      if (!video) return;
      video.pause();
      video.removeAttribute("src");
      video.load();
    }

    head(entry, kinds) {
      const { say } = this;
      const step = (number, words, icon) => {
        const made = make("button", { type: "button", class: "button plain square", "data-step": number, "aria-label": say(words) }, icon);
        made.addEventListener("click", () => this.walk(number));
        return made;
      };
      const close = make("button", { type: "button", class: "button plain square", "aria-label": say("item.close") }, "✕");
      close.addEventListener("click", () => this.dialog.close());
      const title = make("h2", { id: "look-item-title" }, make("bdi", {}, entry.name));
      const about = make("p", { class: "quiet" }, ...kinds.map((kind) => review.mark(kind, say)), entry.folder ? make("bdi", {}, entry.folder) : "");
      return make("div", { class: "head" }, make("div", {}, title, about), make("div", { class: "actions" }, step(-1, "item.previous", "←"), step(1, "item.next", "→"), close));
    }

    media(entry) {
      const { say } = this;
      if (entry.failure) return make("div", { class: "look-why" }, make("h3", {}, say("item.failed")), make("p", {}, entry.failure));
      const box = make("div", { class: "look-media" });
      const { labelled, thumb } = entry.result;
      if (!labelled) {
        box.append(make("p", { class: "quiet" }, say("item.nothing")));
      } else if (entry.isVideo) {
        const video = make("video", { controls: true, playsinline: true, muted: true, loop: true, autoplay: !still.matches, preload: "auto", "aria-label": say("item.video", { name: entry.name }), poster: thumb ? this.source.file(entry, thumb) : null });
        video.muted = true;
        video.src = this.source.file(entry, labelled);
        box.append(video);
      } else {
        box.append(make("img", { src: this.source.file(entry, labelled), alt: say("item.picture", { name: entry.name }) }));
      }
      const loss = entry.result.loss ? make("p", { class: "look-why" }, String(entry.result.loss)) : "";
      return make("div", {}, loss, box, make("div", { class: "look-found" }, make("p", { class: "quiet", role: "status" }, say("item.wait"))));
    }

    facts(entry) {
      const { say } = this;
      const { result } = entry;
      const list = make("dl", { class: "look-facts" });
      const fact = (key, ...words) => list.append(make("div", {}, make("dt", {}, say(`fact.${key}`)), make("dd", {}, ...words)));
      fact("path", make("bdi", {}, entry.path));
      if (entry.taken) fact("taken", entry.taken.replace("T", " "));
      if (entry.seconds) fact("length", review.time(entry.seconds));
      if (result.width) fact("size", `${result.width} × ${result.height}`);
      if (result.frame_rate) fact("rate", result.variable_rate ? say("fact.variable", { rate: rateOf(result.frame_rate) }) : rateOf(result.frame_rate));
      if (result.analysed && entry.isVideo) fact("analysed", say("fact.analysed_of", { analysed: result.analysed, frames: result.frames }));
      for (const [kind, one] of Object.entries(entry.found)) {
        if (one.conf < this.least && !one.detections) continue;
        const places = { name: review.named(say, "kind", kind), sure: review.percent(one.conf), detections: say.n("detections", one.detections), tracks: say.n("tracks", one.tracks) };
        fact("found", say("fact.found_of", places));
      }
      if (entry.species.length) fact("species", entry.species.map(([name, conf]) => `${name} ${review.percent(conf)}`).join(", "));
      const links = this.source.links(entry).map(({ words, href }) => make("a", { href }, words));
      if (links.length) fact("files", ...links.flatMap((link, number) => (number ? [" · ", link] : [link])));
      return make("section", {}, make("h3", {}, say("item.facts")), list, make("div", { class: "look-plots" }));
    }

    async fill(entry) {
      const place = this.dialog.querySelector(".look-found");
      if (!place) return;
      let got = { gone: true };
      try {
        got = await (this.source.detail ? this.source.detail(entry) : review.detail(this.source, entry));
      } catch {
        // It is said below that it can't be read.
      }
      if (this.entry !== entry || !place.isConnected) return;
      place.replaceChildren();
      if (got.gone || got.large) place.append(make("p", { class: "quiet" }, this.say(got.large ? "item.large" : "item.gone", { size: got.large })));
      this.plots(got.plots ?? []);
      if (!got.detail || !entry.isVideo) return;
      const found = new review.Found(got.detail, got.names, entry.seconds, this.least);
      if (found.rows.length) this.follow(entry, place, found, got.detail.every);
    }

    plots(addresses) {
      const place = this.dialog.querySelector(".look-plots");
      if (!addresses.length) return;
      const named = addresses.map((address) => [/([\w-]+)\.png(?:$|\?)/.exec(address)?.[1] ?? "", address]);
      named.sort(([one], [other]) => PLOTS.indexOf(one) - PLOTS.indexOf(other));
      const figures = named.map(([name, address]) => {
        const words = review.named(this.say, "plot", name);
        return make("figure", {}, make("a", { href: address, target: "_blank", rel: "noopener" }, make("img", { src: address, alt: words, loading: "lazy", width: 720, height: 450 })), make("figcaption", {}, words));
      });
      place.replaceChildren(make("h3", {}, this.say("item.plots")), make("div", { class: "look-figures" }, ...figures));
    }

    /** Keep everything in time with the video. */
    follow(entry, place, found, every) {
      const { say } = this;
      const media = this.dialog.querySelector(".look-media");
      const video = media.querySelector("video");
      const stage = make("canvas", { role: "img", "aria-label": say("item.stage") });
      if (entry.result.width) stage.style.aspectRatio = `${entry.result.width} / ${entry.result.height}`;
      const readout = make("p", { class: "look-readout" });
      media.append(stage);
      const seek = (time) => {
        if (video) video.currentTime = Math.min(Math.max(0, time), video.duration || found.seconds) + 0.001;
        else show(time);
      };
      const list = make("ul", { class: "look-lanes plain" });
      const mark = review.lanes(list, found, say, seek);
      let shown = -1;
      const show = (time) => {
        mark(Math.min(time, found.seconds));
        const at = found.placeAt(time);
        if (at === shown) return;
        shown = at;
        review.paint(stage, found, at);
        readout.textContent = said(found, at, say);
      };
      const step = (number) => {
        video?.pause();
        const at = found.placeAt(video?.currentTime ?? 0) + number;
        seek(found.times[Math.min(Math.max(0, at), found.times.length - 1)]);
      };
      this.step = step;
      place.append(this.controls(video, step, readout), make("h3", {}, say("item.lanes")), list);
      const more = found.tracks.length - review.MOST_LANES;
      if (more > 0) place.append(make("p", { class: "quiet" }, say("item.more_lanes", { count: more })));
      if (every > 1) place.append(make("p", { class: "quiet" }, say("item.thinned", { every })));
      place.append(make("p", { class: "hint" }, `${say("item.lane_hint")} ${say("item.keys")}`));
      this.ended = new AbortController();
      watch(video, show, this.ended.signal);
      const again = () => {
        const at = Math.max(0, shown);
        review.paint(stage, found, at);
      };
      const sizes = new ResizeObserver(again);
      sizes.observe(stage);
      this.ended.signal.addEventListener("abort", () => sizes.disconnect());
      show(video?.currentTime ?? 0);
    }

    controls(video, step, readout) {
      const { say } = this;
      const button = (number, words, sign) => {
        const made = make("button", { type: "button", class: "button small", "aria-label": say(words), title: say(words) }, sign);
        made.addEventListener("click", () => step(number));
        return made;
      };
      const speed = make("select", { "aria-label": say("item.speed"), title: say("item.speed") }, ...SPEEDS.map((one) => make("option", { value: one, selected: one === 1 }, `${one} ×`)));
      speed.addEventListener("change", () => (video.playbackRate = Number(speed.value)));
      return make("div", { class: "look-controls" }, button(-1, "item.earlier", "‹"), button(1, "item.later", "›"), video ? speed : "", readout);
    }

    key(event) {
      if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("select, input")) return;
      const inVideo = event.target.matches("video");
      const video = this.dialog.querySelector("video");
      const walks = { ArrowLeft: -1, ArrowRight: 1 };
      const steps = { ",": -1, ".": 1 };
      if (event.key in walks && !inVideo) this.walk(walks[event.key]);
      else if (event.key in steps && this.step && video) this.step(steps[event.key]);
      else if (event.key === " " && video && !inVideo && !event.target.matches("button:not([data-step]), a")) video.paused ? video.play() : video.pause();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }
  }

  /** Call `show` with the time of every frame that the video presents, exactly where the browser tells it. */
  function watch(video, show, signal) {
    if (!video) return;
    if ("requestVideoFrameCallback" in video) {
      let asked = 0;
      const next = (_now, { mediaTime }) => {
        show(mediaTime);
        asked = video.requestVideoFrameCallback(next);
      };
      asked = video.requestVideoFrameCallback(next);
      signal.addEventListener("abort", () => video.cancelVideoFrameCallback(asked));
    } else {
      let asked = 0;
      const next = () => {
        show(video.currentTime);
        asked = video.paused ? 0 : requestAnimationFrame(next);
      };
      for (const name of ["play", "seeked", "timeupdate"]) video.addEventListener(name, () => asked || next(), { signal });
      signal.addEventListener("abort", () => cancelAnimationFrame(asked));
    }
  }

  function said(found, at, say) {
    const counts = new Map();
    for (const row of found.byFrame.get(found.frames[at]) ?? []) {
      const name = found.named(row.owner, say);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    const list = [...counts].map(([name, count]) => (count > 1 ? `${count} × ${name}` : name)).join(", ");
    return say("item.frame", { frame: found.frames[at], time: review.time(found.times[at], 2), list: list || say("item.nothing_here") });
  }

  /** 30000/1001 is 29.97 a second. */
  function rateOf(text) {
    const [above, below = "1"] = String(text).split("/");
    const rate = Number(above) / Number(below);
    return Number.isFinite(rate) ? `${Math.round(rate * 1000) / 1000} / s` : String(text);
  }

  review.ItemView = ItemView;
}
