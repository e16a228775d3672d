/* The recipe: its steps, its output and its presets, and the form fields it stands for. */

import { byId, h, icon } from "../shared/dom.js";
import { words } from "./controls.js";
import { fieldsOf, OverlayField, valuesOf } from "./field.js";
import { Pipeline, picker } from "./pipeline.js";

/* The choice of a preset. */

export class PresetChoice {
  /** With `isOnly`, a preset is required. */
  constructor(presets, isOnly, onChange) {
    this.chosen = null;
    this._select = h(
      "select",
      { class: "input", id: "preset", "aria-describedby": "preset-about preset-error", onchange: () => choose() },
      !isOnly && h("option", { value: "" }, "none: use my own steps"),
      presets.map(({ preset }) => h("option", { value: preset }, preset)),
    );
    this._error = h("p", { class: "error", id: "preset-error", hidden: true });
    const about = h("p", { class: "help", id: "preset-about" });
    const choose = () => {
      this.chosen = find();
      tell();
      this.complain(null);
      onChange();
    };
    const find = () => presets.find(({ preset }) => preset === this._select.value) ?? null;
    const tell = () => {
      about.textContent = this.chosen ? told(this.chosen) : "";
    };
    this.chosen = find();
    tell();
    this.element = h(
      "div",
      { class: "field presets", hidden: presets.length === 0 },
      h("label", { for: "preset" }, "Preset"),
      this._select,
      about,
      this._error,
    );
  }

  complain(message) {
    this._error.textContent = message ?? "";
    this._error.hidden = !message;
  }

  focus() {
    this._select.focus();
  }
}

function told(preset) {
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

/* The whole recipe: steps or a preset, the overlay and the output parameters. */

/** Number of output parameters that are always shown; the others are behind "More". */
const PLAIN_OUTPUT = 2;

export class Recipe {
  constructor(catalog, presets, onChange) {
    this._catalog = catalog;
    this._onChange = onChange;
    this.pipeline = new Pipeline(() => this._changed());
    this.overlay = new OverlayField(() => this._changed());
    this.output = fieldsOf(catalog.output, {}, () => this._changed());
    this._picker = picker(catalog.operations, (operation) => this._add(operation));
    this._presets = new PresetChoice(presets, catalog.only_presets, () => this._changed());
    this.element = this._build();
    this._changed();
  }

  /** The form fields except for the picture, as [name, text], in the shortest form. */
  get fields() {
    if (this._presets.chosen) return [["preset", this._presets.chosen.preset]];
    const output = valuesOf(this.output);
    const steps = this.pipeline.steps.map(({ entry }) => entry);
    if (this._isSingle()) {
      const { operation, ...parameters } = steps[0];
      return Object.entries({ operation, ...parameters, ...output }).map(([name, value]) => [name, asText(value)]);
    }
    return Object.entries({ operations: steps, ...output }).map(([name, value]) => [name, asText(value)]);
  }

  get overlayFile() {
    return this._presets.chosen || !this._takesOverlay() ? null : this.overlay.file;
  }

  /** A summary in a few words. */
  get summary() {
    if (this._presets.chosen) return this._presets.chosen.preset;
    return (
      this.pipeline.steps.map(({ name }) => words(name).toLowerCase()).join(", ") ||
      `to ${valuesOf(this.output).format ?? "the same format"}`
    );
  }

  /** Show a problem at its field and return the element to focus; null if the field is not part of the recipe. */
  complain(field, message) {
    const target = this._target(field);
    target?.complain(message);
    return target;
  }

  forgive() {
    for (const each of [
      this._presets,
      this.overlay,
      ...this.output,
      ...this.pipeline.steps,
      ...this.pipeline.steps.flatMap(({ fields }) => fields),
    ])
      each.complain(null);
  }

  /** Scroll to the field and open its step. */
  reveal(target) {
    const step = this.pipeline.steps.find((each) => each === target || each.fields.includes(target));
    if (step) this.pipeline.open(step);
    if (this._more.contains(target.element)) this._more.open = true;
    target.focus();
  }

  clear() {
    this.pipeline.clear();
    this._addButton.focus();
  }

  _takesOverlay() {
    return this.pipeline.steps.some(({ operation }) => operation.takes_overlay);
  }

  /** One operation needs no JSON, unless it shares the name of a parameter with the output, which would apply to both. */
  _isSingle() {
    const [step, ...others] = this.pipeline.steps;
    return (
      step !== undefined && others.length === 0 && !Object.keys(step.operation.parameters).some((name) => name in this._catalog.output)
    );
  }

  _target(field) {
    if (field === "preset") return this._presets;
    if (field === "overlay") return this.overlay;
    const found = field.match(/^operations?(?:\[(\d+)\])?(?:\.(\w+))?/);
    const step = found ? this.pipeline.steps[Number(found[1] ?? 0)] : this._isSingle() ? this.pipeline.steps[0] : undefined;
    const name = found ? found[2] : field.match(/^\w+/)?.[0];
    const parameter = step?.fields.find((each) => each.name === name);
    return parameter ?? (found ? step : this.output.find((each) => each.name === name)) ?? null;
  }

  _add(operation) {
    const step = this.pipeline.add(operation);
    this.pipeline.open(step);
    step.focus();
  }

  _changed() {
    if (!this.element) return;
    const { steps } = this.pipeline;
    this._empty.hidden = steps.length > 0;
    byId("clear-steps").hidden = steps.length === 0 || this._presets.chosen !== null;
    this.overlay.element.hidden = !this._takesOverlay();
    this._own.hidden = this._presets.chosen !== null;
    this._onChange();
  }

  _build() {
    this._addButton = h(
      "button",
      { type: "button", class: "button add", onclick: () => this._picker.showModal() },
      icon("plus"),
      "Add an operation",
    );
    this.pipeline.element.addEventListener("emptied", () => this._addButton.focus());
    this._empty = h("p", { class: "soft small no-steps" }, "No operations yet. Only the file format changes.");
    this._more = h(
      "details",
      { class: "more-output" },
      h("summary", {}, "More options"),
      h(
        "div",
        { class: "form" },
        this.output.slice(PLAIN_OUTPUT).map(({ element }) => element),
      ),
    );
    this._own = h(
      "div",
      { class: "stack" },
      h("div", { class: "stack steps-part" }, this._empty, this.pipeline.element, this._addButton, this.overlay.element),
      h(
        "section",
        { class: "file-part stack", "aria-labelledby": "file-title" },
        h("h3", { id: "file-title" }, "File"),
        h(
          "div",
          { class: "form" },
          this.output.slice(0, PLAIN_OUTPUT).map(({ element }) => element),
        ),
        this._more,
      ),
    );
    return h("div", { class: "stack" }, this._presets.element, this._own, this._picker);
  }
}

function asText(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
