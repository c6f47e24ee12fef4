// The API as the pages call it: with the session's cookie and its proof.

import { say } from "./texts.js";

/** What the server says when it refuses: `code`, `hint` and `errors` as in its problem document. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? say("answered", { status }));
    Object.assign(this, { status, code: problem.code, hint: problem.hint, errors: problem.errors ?? [] });
  }
}

/** The session's proof that this page is the server's own. */
export function csrf() {
  return document.querySelector('meta[name="csrf-token"]')?.content ?? "";
}

/** Say that nobody is logged in any more; the frame tells it, with the way back in. */
export function out() {
  document.dispatchEvent(new Event("grange:out"));
}

/** Ask the API; gives the answer's JSON, or nothing. Throws `Refused`, or TypeError without a connection. */
export async function call(method, path, body, headers = {}) {
  const response = await fetch(`/api/v1/${path}`, {
    method,
    headers: {
      Accept: "application/json",
      "X-CSRF-Token": csrf(),
      ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.status === 401) out();
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response.status === 204 ? null : response.json();
}

/** As `call`, again and again while the server can't be reached; `waiting` hears of each try. */
export async function insist(method, path, body, headers, waiting = () => {}) {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    try {
      return await call(method, path, body, headers);
    } catch (error) {
      const passing = !(error instanceof Refused) || [502, 503, 504].includes(error.status);
      if (!passing) throw error;
      waiting(error);
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

/** Put a fresh part of this page in place of the old one, where it differs. Gives whether it could. */
export async function refresh(...selectors) {
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (response.redirected && new URL(response.url).pathname === "/login") out();
    if (!response.ok || response.redirected) return false;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const selector of selectors) {
      const old = document.querySelector(selector);
      const fresh = page.querySelector(selector);
      if (old && fresh && !old.isEqualNode(fresh)) replace(old, fresh);
    }
    return true;
  } catch {
    return false;
  }
}

/** Take the fresh one's children over, and keep the focus, the row that one is at, and what is chosen. */
function replace(old, fresh) {
  const focused = old.contains(document.activeElement) ? wayTo(document.activeElement) : "";
  const here = old.querySelector("tr.here th a")?.getAttribute("href");
  const chosen = [...old.querySelectorAll("input:checked")].map((box) => box.value);
  old.replaceChildren(...fresh.childNodes);
  for (const box of old.querySelectorAll("input[type=checkbox]")) {
    box.checked = chosen.includes(box.value);
  }
  // Whoever counts what is chosen looks again.
  old.querySelector("table[data-rows]")?.dispatchEvent(new Event("change", { bubbles: true }));
  if (here) old.querySelector(`th a[href="${CSS.escape(here)}"]`)?.closest("tr").classList.add("here");
  if (focused) old.querySelector(focused)?.focus({ preventScroll: true });
}

/** How to find the same element in the fresh part. */
function wayTo(element) {
  if (element.id) return `#${CSS.escape(element.id)}`;
  if (element.href) return `a[href="${CSS.escape(element.getAttribute("href"))}"]`;
  return element.value ? `[value="${CSS.escape(element.value)}"]` : "";
}
