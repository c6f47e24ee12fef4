// Tables by keyboard (j, k, enter, x), selection with its bar, and sorting of lists that are shown whole.

const rowsOf = (table) => [...table.tBodies[0].rows];

export function tables() {
  const table = document.querySelector("table[data-rows]");
  document.addEventListener("keydown", (event) => onKey(document.querySelector("table[data-rows]"), event));
  document.addEventListener("change", (event) => {
    const chosen = event.target.closest("table[data-rows]");
    if (!chosen) return;
    if (event.target.matches("thead .pick input"))
      for (const box of chosen.querySelectorAll("tbody .pick input")) box.checked = event.target.checked;
    showSelection(chosen);
  });
  for (const one of document.querySelectorAll("table[data-sortable]")) sortable(one);
  if (table) showSelection(table);
}

function onKey(table, event) {
  if (!table || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), select, textarea, dialog[open]")) return;
  const rows = rowsOf(table);
  const at = rows.findIndex((row) => row.classList.contains("here"));
  if (event.key === "j" || event.key === "k") {
    const next = at < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, at + (event.key === "j" ? 1 : -1)));
    go(rows, next);
  } else if (event.key === "x" && at >= 0) {
    rows[at].querySelector(".pick input")?.click();
  } else if (event.key === "Enter" && at >= 0 && !event.target.closest("a, button, summary")) {
    rows[at].querySelector("a[href]")?.click();
  }
}

function go(rows, next) {
  for (const row of rows) row.classList.remove("here");
  const row = rows[next];
  if (!row) return;
  row.classList.add("here");
  row.querySelector("a[href]")?.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function showSelection(table) {
  const bar = document.querySelector(".selection");
  if (!bar) return;
  const count = table.querySelectorAll("tbody .pick input:checked").length;
  bar.hidden = count === 0;
  const number = bar.querySelector("[data-count]");
  if (number) number.textContent = count.toLocaleString(document.documentElement.lang);
}

/** Headers with data-sort become buttons. A cell's data-value is what counts, else its text. */
function sortable(table) {
  for (const header of table.tHead.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sort(table, header));
  }
}

function sort(table, header) {
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const order = new Intl.Collator(document.documentElement.lang, { numeric: true }).compare;
  const value = (row) => {
    const cell = row.cells[header.cellIndex];
    return cell.dataset.value ?? cell.textContent.trim();
  };
  const sorted = rowsOf(table).sort((one, two) => order(value(one), value(two)) * (down ? -1 : 1));
  table.tBodies[0].append(...sorted);
}
