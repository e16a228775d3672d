/* The recipe: its steps, presets, and what is sent of it. */

import { byId, h, icon } from "../shared/dom.js";
import { words } from "./controls.js";
import { fieldsOf, OverlayField, valuesOf } from "./field.js";
import { Pipeline, picker } from "./pipeline.js";

/* Wishes that the service knows by name. */

export class PresetChoice {
  /** With `isOnly` there is no other wish than one of them. */
  constructor(presets, isOnly, onChange) {
    this.chosen = null;
    this._select = h(
      "select",
      { class: "input", id: "preset", "aria-describedby": "preset-about preset-error", onchange: () => choose() },
      !isOnly && h("option", { value: "" }, "none: my own steps"),
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

/* All that is asked for: steps or a preset, the second picture, the file; and the form that says it to the service. */

/** How many fields of the file are shown at once; the others are behind "More". */
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

  /** The form's fields but the picture, as [name, text], in the shortest form that says it. */
  get fields() {
    if (this._presets.chosen) return [["preset", this._presets.chosen.preset]];
    const output = valuesOf(this.output);
    const steps = this.pipeline.steps.map(({ wish }) => wish);
    if (this._isSingle()) {
      const { operation, ...parameters } = steps[0];
      return Object.entries({ operation, ...parameters, ...output }).map(([name, value]) => [name, asText(value)]);
    }
    return Object.entries({ operations: steps, ...output }).map(([name, value]) => [name, asText(value)]);
  }

  get overlayFile() {
    return this._presets.chosen || !this._takesOverlay() ? null : this.overlay.file;
  }

  /** What is done, in a few words. */
  get summary() {
    if (this._presets.chosen) return this._presets.chosen.preset;
    return (
      this.pipeline.steps.map(({ name }) => words(name).toLowerCase()).join(", ") ||
      `to ${valuesOf(this.output).format ?? "the same format"}`
    );
  }

  /** Show a problem at the field that it names, and return what can take focus there; null if it names none of these. */
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

  /** Bring the field into view, whose step may be closed. */
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

  /** One operation needs no JSON, unless a parameter of it is called as one of the file's: that would count for both. */
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
    this._empty = h("p", { class: "soft small no-steps" }, "No step yet: the picture stays as it is, and only its file changes.");
    this._more = h(
      "details",
      { class: "more-output" },
      h("summary", {}, "More about the file"),
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
