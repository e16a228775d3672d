/* Keys of a page, and the dialog that lists them. */

import { h } from "./dom.js";

/** Whether keys write into an element. */
export function writes(element) {
  return element.matches?.("textarea, input:not([type=checkbox], [type=radio], [type=range], [type=file])") ?? false;
}

/** Whether a key chooses an entry of an element. */
export const chooses = (element) => Boolean(element.closest?.("select"));

/** Create a dialog that lists keys: [key, what it does]. */
export function keySheet(keys) {
  const sheet = h(
    "dialog",
    { class: "keys", "aria-labelledby": "keys-title" },
    h("h2", { id: "keys-title" }, "Keys"),
    h(
      "dl",
      {},
      keys.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what))),
    ),
    h("button", { type: "button", class: "button", onclick: () => sheet.close() }, "Close"),
  );
  document.body.append(sheet);
  return sheet;
}
