// The page on the disk: its data are scripts beside it, loaded piece by piece.

"use strict";
{
  const review = globalThis.grangeReview;
  const waiting = new Map();
  const details = new Map();
  let about = null;
  let view = null;

  globalThis.grangeReviewData = {
    about(given) {
      about = given;
    },
    items(list) {
      view.take(list);
    },
    details(list) {
      for (const [id, detail] of list) details.set(id, detail);
    },
  };

  /** Run a script of the review's folder, once. */
  function load(name) {
    if (!waiting.has(name)) {
      const script = document.createElement("script");
      script.src = `review/${name}`;
      const done = new Promise((loaded, failed) => {
        script.addEventListener("load", loaded);
        script.addEventListener("error", failed);
      });
      document.head.append(script);
      waiting.set(name, done);
    }
    return waiting.get(name);
  }

  const piece = (what, number) => `${what}-${String(number).padStart(6, "0")}.js`;
  const file = (entry, name) => `../${entry.href}/${name.split("/").map(encodeURIComponent).join("/")}`;

  const source = {
    file,
    links(entry) {
      const { labelled } = entry.result;
      const names = [labelled, ...(entry.failure ? [] : ["detections.json"])];
      return names.filter(Boolean).map((name) => ({ words: name, href: file(entry, name) }));
    },
    async detail(entry) {
      const plots = entry.outputs.map((one) => `../${entry.href}/${one}`);
      if (entry.details === undefined) return { plots };
      if (!details.has(entry.id)) {
        // One piece at a time is in memory.
        details.clear();
        waiting.delete(piece("details", entry.details));
        await load(piece("details", entry.details));
      }
      return { detail: details.get(entry.id), names: about.names, plots };
    },
  };

  async function begin() {
    await load("about.js");
    document.title = about.title ? `${about.title} · ${about.texts.title}` : about.texts.title;
    document.querySelector("h1").textContent = about.title || about.texts.title;
    const models = document.getElementById("models");
    models.textContent = about.names.models.length ? about.texts.models.replace("{models}", about.names.models.join(", ")) : "";
    view = review.show(document.getElementById("review"), { ...source, texts: about.texts, names: about.names });
    for (let number = 0; number < about.pieces; number += 1) await load(piece("items", number));
    view.ready();
  }

  begin();
}
