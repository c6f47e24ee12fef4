// Buttons with data-copy put their text on the clipboard and say so.

/** Copy also where the page has no secure context: a site in a house network speaks plain HTTP. */
async function put(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.setAttribute("readonly", "");
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

async function copy(button) {
  await put(button.dataset.copy);
  const words = button.querySelector("span");
  const before = words ? words.textContent : button.getAttribute("aria-label");
  const say = (text) => (words ? (words.textContent = text) : button.setAttribute("aria-label", text));
  button.classList.add("copied");
  say(button.dataset.copied);
  setTimeout(() => {
    button.classList.remove("copied");
    say(before);
  }, 1500);
}

export function copying() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button && !button.classList.contains("copied")) copy(button).catch(() => mark(button));
    if (event.target.matches("[data-select]")) event.target.select();
  });
}

/** Where copying is refused, the text is marked, so that the keyboard can do it. */
function mark(button) {
  button.parentElement.querySelector("[data-select]")?.select();
}
