/* The choice of a preset, which stands for steps and output, or becomes them. */

import { h } from "../../shared/dom.js";
import { words } from "../../shared/format.js";

export class PresetChoice {
  /** With `isOnly`, a preset is required. `on` has callbacks for `choose` (a name or null) and `open` (a preset). */
  constructor(presets, isOnly, on) {
    this._presets = presets;
    this._select = h(
      "select",
      {
        class: "input",
        id: "preset",
        "aria-describedby": "preset-about preset-error",
        onchange: () => on.choose(this._select.value || null),
      },
      !isOnly && h("option", { value: "" }, "none: use my own steps"),
      presets.map(({ preset }) => h("option", { value: preset }, preset)),
    );
    this._error = h("p", { class: "error", id: "preset-error", hidden: true });
    this._about = h("p", { class: "help", id: "preset-about" });
    this._open = h(
      "button",
      { type: "button", class: "button small", hidden: true, onclick: () => on.open(this._found()) },
      "Change its steps",
    );
    this._isOnly = isOnly;
    this.element = h(
      "div",
      { class: "field presets", hidden: presets.length === 0 },
      h("label", { for: "preset" }, "Preset"),
      this._select,
      this._about,
      this._open,
      this._error,
    );
  }

  /** Show the chosen preset, or none. */
  show(name) {
    this._select.value = name ?? "";
    this._about.textContent = this._found() ? describe(this._found()) : "";
    this._open.hidden = this._isOnly || !this._found();
    this.complain(null);
  }

  complain(message) {
    this._error.textContent = message ?? "";
    this._error.hidden = !message;
  }

  focus() {
    this._select.focus();
  }

  _found() {
    return this._presets.find(({ preset }) => preset === this._select.value) ?? null;
  }
}

function describe(preset) {
  const steps = ({ operations = [], output }) =>
    [...operations.map(({ operation }) => words(operation).toLowerCase()), output?.format && output.format !== "keep" && output.format]
      .filter(Boolean)
      .join(", ");
  const does = preset.variants
    ? Object.entries(preset.variants)
        .map(([name, variant]) => `${name}: ${steps(variant)}`)
        .join("; ")
    : steps(preset);
  return [preset.description, does].filter(Boolean).join(" · ");
}

/** Return the JSON of a preset's recipe. */
export function recipeOf({ operations = [], output = {}, variants }) {
  if (!variants) return { operations: operations.map(set), ...set(output) };
  return {
    variants: Object.fromEntries(
      Object.entries(variants).map(([name, each]) => [name, { operations: (each.operations ?? []).map(set), ...set(each.output ?? {}) }]),
    ),
  };
}

/** Return the values that are set. */
const set = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
