// Links with data-ask lead to a page that asks "really?". Here that page comes as a dialog.

export function asking() {
  const dialog = document.querySelector("#asking");
  if (!dialog) return;
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-ask]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    try {
      const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      dialog.replaceChildren(...parsed(await answer.text()));
    } catch {
      location.assign(link.href);
      return;
    }
    dialog.showModal();
    dialog.querySelector("[data-keep]").focus();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-keep]")) {
      event.preventDefault();
      dialog.close();
    }
  });
}

function parsed(text) {
  return new DOMParser().parseFromString(text, "text/html").body.childNodes;
}
