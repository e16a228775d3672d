/* Notices that disappear, confirmation dialogs, and empty states. */

import { announce, byId, h, icon, topmost } from "../shared/dom.js";

const SHOWN_MS = 6000;

/** Show a short notice of success or failure. */
export function notify(text, { bad = false } = {}) {
  const toast = h(
    "div",
    { class: bad ? "toast bad" : "toast" },
    h("p", {}, text),
    h("button", { class: "button quiet small", type: "button", "aria-label": "Close", onclick: () => toast.remove() }, icon("close")),
  );
  byId("toasts").append(toast);
  raise();
  announce(text);
  setTimeout(() => toast.remove(), bad ? 2 * SHOWN_MS : SHOWN_MS);
  while (byId("toasts").childElementCount > 3) byId("toasts").firstElementChild.remove();
}

/** Show the notices above everything, inside of the open dialog if there is one. */
function raise() {
  const toasts = byId("toasts");
  const host = topmost();
  if (toasts.parentElement !== host) host.append(toasts);
  else if (toasts.matches(":popover-open")) toasts.hidePopover();
  toasts.showPopover();
}

document.addEventListener("close", raise, { capture: true });

/** Ask for confirmation; resolves to whether the user agrees. */
export function ask(title, text, verb, { danger = false } = {}) {
  const dialog = byId("question");
  const go = h("button", { class: danger ? "button danger" : "button primary", value: "yes" }, verb);
  dialog.replaceChildren(
    h(
      "form",
      { method: "dialog", class: "stack" },
      h("h2", { id: "question-title" }, title),
      h("p", { class: "soft" }, text),
      h("div", { class: "row end" }, h("button", { class: "button", value: "" }, "Not now"), go),
    ),
  );
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/** An empty state: what is missing, and how to get it. */
export function nothing(symbol, title, text, ...more) {
  const picture = icon(symbol);
  return h("div", { class: "empty" }, picture, h("h3", {}, title), h("p", {}, text), ...more);
}
