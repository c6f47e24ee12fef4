// What was found in an item, read from its own file of results.

"use strict";
{
  const review = globalThis.grangeReview;
  const FILE = "detections.json";
  // A browser takes a while over more, and nobody looks at so many boxes.
  const MOST_BYTES = 20_000_000;
  const MOST_ROWS = 20_000;

  /** The same as a page on the disk finds in its pieces. */
  review.detail = async (source, entry) => {
    const outputs = await source.outputs(entry);
    const plots = outputs.filter(({ name }) => name.startsWith("plot-poses/") && name.endsWith(".png")).map(({ name }) => source.file(entry, name));
    const file = outputs.find(({ name }) => name === FILE);
    if (!file) return { plots };
    if (file.bytes > MOST_BYTES) return { large: file.size, plots };
    const document = await source.json(entry, FILE);
    const image = document.images[0];
    const every = Math.max(1, Math.ceil((image.detections ?? []).length / MOST_ROWS));
    const rows = (image.detections ?? []).filter((_, number) => number % every === 0).map(rowOf);
    const detail = { rate: rateOf(image), processed: image.frames_processed ?? [], times: image.times ?? [], every, rows };
    return { detail, names: namesOf(document), plots };
  };

  function rowOf(one) {
    const [species, sure] = one.classifications?.[0] ?? [null, null];
    return [one.frame_number, one.category, one.conf, one.bbox, one.track ?? null, species, sure, (one.keypoints ?? []).flat()];
  }

  function rateOf({ frame_rate: rate, frame_rate_exact: exact }) {
    const [above, below] = String(exact ?? "").split("/");
    return below ? above / below : rate > 0 ? rate : 0;
  }

  function namesOf({ info, detection_categories: categories, classification_categories: species }) {
    return { categories, species: species ?? {}, keypoints: info.keypoints ?? [], skeleton: info.skeleton ?? [] };
  }
}
