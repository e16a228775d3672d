/* The keys of the studio, and the dialog that lists them. */

import { byId, h } from "../shared/dom.js";

const KEYS = [
  ["Ctrl+Z", "Undo"],
  ["Shift+Ctrl+Z", "Redo"],
  ["O", "Choose pictures"],
  ["A", "Add an operation"],
  ["Ctrl+Enter", "Develop"],
  ["+  −  0  1", "Zoom the picture in, out, to fit, to its pixels"],
  ["Arrow keys", "Move the picture, or a box on it: with Shift by ten, with Alt its size"],
  ["Shift + a corner", "Resize a box in its proportions"],
  ["Delete", "Remove a box"],
  ["Esc", "End drawing"],
  ["?", "Show these keys"],
];

/** Call `on` (undo, redo, add, open, develop) when its keys are pressed. */
export function listenToKeys(on) {
  const sheet = dialog();
  byId("keys").addEventListener("click", () => sheet.showModal());
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const run = event.ctrlKey || event.metaKey ? withControl(event, on) : plain(event, on, sheet);
    if (!run) return;
    event.preventDefault();
    run();
  });
}

function withControl({ key, shiftKey, target }, on) {
  if (key === "Enter") return on.develop;
  if (writes(target)) return null; // the field has its own undo
  if (key.toLowerCase() === "z") return shiftKey ? on.redo : on.undo;
  return key.toLowerCase() === "y" ? on.redo : null;
}

function plain({ key, target, altKey }, on, sheet) {
  if (altKey || writes(target) || target.closest?.("select")) return null;
  return { "?": () => sheet.showModal(), a: on.add, o: on.open }[key] ?? null;
}

/** Whether keys write into an element. */
function writes(element) {
  return element.matches?.("textarea, input:not([type=checkbox], [type=radio], [type=range], [type=file])") ?? false;
}

function dialog() {
  const sheet = h(
    "dialog",
    { class: "keys", "aria-labelledby": "keys-title" },
    h("h2", { id: "keys-title" }, "Keys"),
    h(
      "dl",
      {},
      KEYS.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what))),
    ),
    h("button", { type: "button", class: "button", onclick: () => sheet.close() }, "Close"),
  );
  document.body.append(sheet);
  return sheet;
}
