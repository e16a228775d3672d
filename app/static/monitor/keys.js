/* The keys of the monitor. */

import { byId } from "../shared/dom.js";
import { chooses, keySheet, writes } from "../shared/keys.js";

const KEYS = [
  ["J  K", "The next or previous task, also in the open task"],
  ["Enter", "Open the task"],
  ["/", "Search"],
  ["Esc", "Close the task, clear the search or leave it, or clear the selection"],
  ["?", "Show these keys"],
];

const CHANGING = [
  ["X", "Select the task"],
  ["R", "Retry the task, if it failed or was revoked"],
];

/** Call `on` (move, open, select, retry, search, clear; step and retryShown in the open task) when its keys are pressed. */
export function listenToKeys(on, isReadOnly) {
  const sheet = keySheet(isReadOnly ? KEYS : [...KEYS.slice(0, 2), ...CHANGING, ...KEYS.slice(2)]);
  byId("keys").addEventListener("click", () => sheet.showModal());
  document.addEventListener("keydown", (event) => {
    const { target, ctrlKey, metaKey, altKey } = event;
    if (ctrlKey || metaKey || altKey || writes(target) || chooses(target)) return;
    const run = byId("board").hidden ? null : actionOf(event.key, on, sheet);
    if (!run) return;
    event.preventDefault();
    run();
  });
}

function actionOf(key, on, sheet) {
  const dialogs = document.querySelectorAll("dialog[open]");
  if (dialogs.length > 1 || (dialogs.length === 1 && dialogs[0].id !== "task")) return null;
  if (dialogs.length) return { j: () => on.step(1), k: () => on.step(-1), r: on.retryShown }[key] ?? null;
  // On links and buttons, Enter does what they do.
  const opens = document.activeElement === document.body || document.activeElement.matches("#rows [type=checkbox]");
  return (
    {
      j: () => on.move(1),
      k: () => on.move(-1),
      x: on.select,
      r: on.retry,
      "/": on.search,
      "?": () => sheet.showModal(),
      Escape: on.clear,
      Enter: opens ? on.open : null,
    }[key] ?? null
  );
}
