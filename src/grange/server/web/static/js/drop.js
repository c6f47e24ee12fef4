// Files and whole folders as people give them: dropped, or chosen in a dialog.

// What systems leave in folders, and nobody means to send.
const LITTER = new Set([".DS_Store", "Thumbs.db", "desktop.ini"]);

/** What was dropped, as a list of {file, path}. `heard` is told how many were found so far. */
export async function dropped(transfer, heard) {
  // The list is empty once the event is over: take the entries first, and wait later.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()).filter(Boolean);
  const found = [];
  for (const entry of entries) {
    if (entry instanceof File) found.push({ file: entry, path: entry.name });
    else await walk(entry, entry.name, found, heard);
  }
  return found.filter(wanted);
}

/** What was chosen in a dialog for files or for a folder. */
export function chosen(files) {
  return [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name })).filter(wanted);
}

/** The folder that all of them lie in, if there is one. */
export function commonFolder(found) {
  const first = found[0]?.path.split("/") ?? [];
  const alike = first.length > 1 && found.every(({ path }) => path.startsWith(`${first[0]}/`));
  return alike ? first[0] : "";
}

async function walk(entry, path, found, heard) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    found.push({ file, path });
    heard(found.length);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A browser gives at most a hundred at a time, and none at the end.
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const one of some) await walk(one, `${path}/${one.name}`, found, heard);
  }
}

function wanted({ file }) {
  return !LITTER.has(file.name);
}
