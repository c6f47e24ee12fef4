// Sends files to a folder on the server: in pieces, a few at a time, again after a lost connection.
//
// tus does one file; this does thousands. What the server has already is not
// sent again, whether it came a second or a day ago.

import { call, csrf, insist } from "./api.js";
import { soonest } from "./paint.js";

/* global tus */

const AT_ONCE = 4;
const PIECE = 8 * 1024 * 1024;
// Only what takes a while is worth remembering beyond this tab: the browser has 5 MB for it.
const WORTH_REMEMBERING = 4 * 1024 * 1024;
// Some twenty minutes: as long as a server may take to come back.
const WAITS = [0, 300, 700, 1500, 3000, 5000, ...Array(120).fill(10_000)];
const PAGE = 1000;
const TELL_EVERY = 1000;
const ARCHIVE = /\.(zip|tar|tgz|tbz2|txz|tar\.(gz|bz2|xz))$/i;

/** Whether a file of this name can be unpacked on the server. */
export function isArchive(name) {
  return ARCHIVE.test(name);
}

/** A file on its way. `state` is waiting, sending, done, known or failed. */
class Sending {
  constructor({ file, path, unpack }) {
    Object.assign(this, { file, path, unpack, size: file.size, sent: 0, state: "waiting", why: "" });
  }

  get isEnded() {
    return ["done", "known", "failed"].includes(this.state);
  }
}

export class Uploads {
  /** `changed` is called whenever something is worth showing; `library` is where tus is. */
  constructor(changed, library) {
    this.library = library;
    const told = soonest(TELL_EVERY, () => this.tell());
    this.changed = () => {
      changed();
      told();
    };
    this.files = [];
    this.paths = new Map();
    this.bytes = 0;
    this.folder = null;
    this.paused = false;
    this.offline = false;
    this.active = new Set();
    this.next = 0;
    this.began = 0;
  }

  /** Go on with a folder of earlier: what lies there need not be sent. */
  async continueWith(folder) {
    this.folder = folder;
    this.there = await filesIn(folder.id);
  }

  /** Take files in and begin. Gives how many were new. */
  async add(found, name) {
    const fresh = found.filter(({ path }) => !this.paths.has(path));
    for (const one of fresh) {
      const sending = new Sending(one);
      if (!one.unpack && this.there?.get(one.path) === sending.size) {
        Object.assign(sending, { state: "known", sent: sending.size });
      }
      this.paths.set(one.path, sending);
      this.files.push(sending);
      this.bytes += sending.size;
    }
    this.changed();
    if (fresh.length && !this.folder) {
      this.making ??= insist("POST", "folders", { name }, {}, () => this.lost(true));
      this.folder = await this.making;
      this.lost(false);
    }
    await (this.loading ??= load(this.library));
    this.began ||= performance.now();
    this.go();
    return fresh.length;
  }

  /** Forget one that has not been sent. */
  remove(path) {
    const sending = this.paths.get(path);
    if (!sending || sending.isEnded) return;
    sending.upload?.abort(true).catch(() => {});
    this.active.delete(sending);
    this.paths.delete(path);
    this.files = this.files.filter((one) => one !== sending);
    this.bytes -= sending.size;
    this.next = 0;
    this.changed();
    this.go();
  }

  pause() {
    this.paused = true;
    for (const sending of this.active) {
      sending.upload?.abort().catch(() => {});
      sending.state = "waiting";
    }
    this.active.clear();
    this.next = 0;
    this.changed();
  }

  resume() {
    this.paused = false;
    for (const one of this.files) if (one.state === "failed") one.state = "waiting";
    this.next = 0;
    this.changed();
    this.go();
  }

  get counts() {
    const counts = { total: this.files.length, ended: 0, failed: 0, sent: 0 };
    for (const one of this.files) {
      if (one.state === "failed") counts.failed += 1;
      else if (one.isEnded) counts.ended += 1;
      counts.sent += one.sent;
    }
    return counts;
  }

  /** Let the frame know, which says on every open page what is on its way. */
  tell() {
    const { total, ended, failed, sent } = this.counts;
    const going = !this.paused && ended + failed < total;
    const detail = { going, files: total - ended - failed, sent, size: this.bytes };
    document.dispatchEvent(new CustomEvent("grange:sending", { detail }));
  }

  get isWhole() {
    const { total, ended } = this.counts;
    return total > 0 && ended === total;
  }

  lost(offline) {
    if (this.offline === offline) return;
    this.offline = offline;
    this.changed();
  }

  go() {
    while (!this.paused && this.folder && this.active.size < AT_ONCE) {
      while (this.files[this.next] && this.files[this.next].state !== "waiting") this.next += 1;
      const sending = this.files[this.next];
      if (!sending) return;
      sending.state = "sending";
      this.active.add(sending);
      this.send(sending);
    }
  }

  async send(sending) {
    const folder = this.folder.id;
    const { file, path } = sending;
    const into = sending.unpack ? {} : { folder, path };
    sending.upload ??= new tus.Upload(file, {
      endpoint: "/api/v1/uploads",
      chunkSize: PIECE,
      retryDelays: WAITS,
      uploadDataDuringCreation: true,
      headers: { "X-CSRF-Token": csrf() },
      metadata: { filename: file.name, ...into },
      fingerprint: async () => ["grange", folder, path, file.size, file.lastModified].join("|"),
      storeFingerprintForResuming: file.size >= WORTH_REMEMBERING,
      removeFingerprintOnSuccess: true,
      onShouldRetry: (error) => this.mayTryAgain(error),
      onProgress: (sent) => this.moved(sending, sent),
      onSuccess: () => this.sent(sending),
      onError: (error) => this.failed(sending, error),
    });
    if (file.size >= WORTH_REMEMBERING && !sending.upload.url) {
      const [earlier] = await sending.upload.findPreviousUploads();
      if (earlier) sending.upload.resumeFromPreviousUpload(earlier);
    }
    // Paused or removed while the memory was asked.
    if (this.active.has(sending)) sending.upload.start();
  }

  mayTryAgain(error) {
    const status = error.originalResponse?.getStatus() ?? 0;
    const passing = status === 0 || status >= 500 || [409, 423, 429].includes(status);
    if (status === 0) this.lost(true);
    return passing && status !== 507;
  }

  moved(sending, sent) {
    sending.sent = Math.min(sent, sending.size);
    this.lost(false);
    this.changed();
  }

  async sent(sending) {
    this.lost(false);
    try {
      if (sending.unpack) {
        sending.state = "unpacking";
        this.changed();
        const upload = sending.upload.url.split("/").at(-1);
        await insist("POST", `folders/${this.folder.id}/archives`, { upload });
      }
      Object.assign(sending, { state: "done", sent: sending.size });
    } catch (error) {
      Object.assign(sending, { state: "failed", why: error.message });
    }
    this.ended(sending);
  }

  failed(sending, error) {
    if (!this.active.has(sending)) return;
    Object.assign(sending, { state: "failed", why: reason(error), sent: 0 });
    this.ended(sending);
  }

  ended(sending) {
    sending.upload = null;
    this.active.delete(sending);
    this.changed();
    this.go();
  }
}

/** A library that is heavy, and of no use before there are files. */
function load(address) {
  return new Promise((done, failed) => {
    const script = Object.assign(document.createElement("script"), { src: address });
    script.addEventListener("load", done);
    script.addEventListener("error", () => failed(new TypeError(address)));
    document.head.append(script);
  });
}

/** What the server says, rather than what the library makes of it. */
function reason(error) {
  try {
    const problem = JSON.parse(error.originalResponse.getBody());
    return [problem.detail, problem.hint].filter(Boolean).join(" ");
  } catch {
    return error.message;
  }
}

async function filesIn(folder) {
  const found = new Map();
  let after = "";
  do {
    const page = await call("GET", `folders/${folder}/files?limit=${PAGE}${after}`);
    for (const one of page.items) found.set(one.path, one.size);
    after = page.next ? `&after=${encodeURIComponent(page.next)}` : "";
  } while (after);
  return found;
}
