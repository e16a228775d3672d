/* Where the time of a task went: a bar with a part for each phase, and the numbers. */

import { h } from "../../shared/dom.js";
import { duration } from "../../shared/format.js";

/** Key of the record's `phases` -> the name of the phase. */
const PHASES = {
  reading_s: "Reading",
  decoding_s: "Decoding",
  operations_s: "Operations",
  encoding_s: "Encoding",
  storing_s: "Storing",
};

/** The phases of a task with their seconds: the wait, those that were measured, and the rest of the running time. */
export function phasesOf(task) {
  const measured = Object.entries(PHASES).map(([key, name]) => ({ name, seconds: task.phases[key] }));
  const rest = task.ran_s - measured.reduce((sum, { seconds }) => sum + seconds, 0);
  return [{ name: "Waiting", seconds: task.waited_s }, ...measured, { name: "Rest", seconds: Math.max(0, rest) }];
}

/** Show the phases; nothing for a task that has not ended, or that ended before its first phase. */
export function phases(task) {
  if (!task.phases || task.ran_s === null) return null;
  const all = phasesOf(task);
  const total = all.reduce((sum, { seconds }) => sum + seconds, 0);
  return h(
    "div",
    { class: "phases" },
    h(
      "div",
      { class: "phase-bar", "aria-hidden": "true" },
      all.map(({ name, seconds }) => {
        const part = h("i", { "data-phase": name.toLowerCase() });
        part.style.setProperty("--share", total ? String(seconds / total) : "0");
        return part;
      }),
    ),
    h(
      "dl",
      {},
      all.map(({ name, seconds }) =>
        h("div", { "data-phase": name.toLowerCase() }, h("dt", {}, name), h("dd", { class: "numbers" }, duration(seconds))),
      ),
    ),
  );
}
