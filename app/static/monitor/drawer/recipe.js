/* A task's operations and outputs without defaults: as the JSON of the API, and as a list. */

import { h } from "../../shared/dom.js";
import { words } from "../tasks/filters.js";

/**
 * Return the recipe of a task, {operations, …output} or {variants}, with only the values that differ from the defaults.
 * @returns {any}
 */
export function recipe(task, catalog) {
  if (!task.variants) return plan(task, catalog);
  return { variants: Object.fromEntries(Object.entries(task.variants).map(([name, each]) => [name, plan(each, catalog)])) };
}

function plan({ operations, output }, catalog) {
  return { operations: operations.map((step) => bare(step, catalog)), ...differing(output, catalog?.output) };
}

function bare({ operation, ...parameters }, catalog) {
  const known = catalog?.operations.find((each) => each.operation === operation);
  return { operation, ...differing(parameters, known?.parameters) };
}

/** Values that are set and not the default of their JSON Schema. */
function differing(values, schemas = {}) {
  return Object.fromEntries(
    Object.entries(values).filter(
      ([name, value]) => value !== null && JSON.stringify(value) !== JSON.stringify(schemas[name]?.default ?? null),
    ),
  );
}

/** Show what was requested. */
export function requested(task, catalog) {
  const json = recipe(task, catalog);
  const all = json.variants ? Object.entries(json.variants) : [["", json]];
  return h(
    "ul",
    { class: "plans" },
    all.map(([name, { operations, ...output }]) => h("li", {}, name && h("b", {}, name), h("ol", {}, operations.map(step)), given(output))),
  );
}

function step({ operation, ...parameters }) {
  return h("li", {}, words(operation), " ", given(parameters));
}

/** Parameters in one line. */
function given(parameters) {
  return h(
    "span",
    { class: "soft small" },
    Object.entries(parameters)
      .map(([name, value]) => `${words(name)} ${typeof value === "object" ? JSON.stringify(value) : value}`)
      .join(" · "),
  );
}
