/* The panels that can be folded; this browser stores which are open. */

import { byId } from "../../shared/dom.js";

const STORED = "darkroom-monitor-open";

/** Open the panels that were open on the last visit; call `onOpen` when one is opened. */
export function buildFolds(onOpen) {
  const folds = /** @type {HTMLDetailsElement[]} */ ([...byId("folds").children]);
  const open = (localStorage.getItem(STORED) ?? "").split(" ");
  for (const fold of folds) {
    fold.open = open.includes(fold.id);
    fold.addEventListener("toggle", () => {
      const now = folds.filter((each) => each.open).map((each) => each.id);
      if (now.join(" ") === localStorage.getItem(STORED)) return; // opened below, not by the user
      localStorage.setItem(STORED, now.join(" "));
      if (fold.open) onOpen();
    });
  }
}
