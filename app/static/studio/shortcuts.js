/* The keys of the studio. */

import { byId } from "../shared/dom.js";
import { chooses, keySheet, writes } from "../shared/keys.js";

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
  const sheet = keySheet(KEYS);
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
  if (altKey || writes(target) || chooses(target)) return null;
  return { "?": () => sheet.showModal(), a: on.add, o: on.open }[key] ?? null;
}
