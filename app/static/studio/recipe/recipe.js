/* The recipe's view: it shows the state, and changes it. */

import { announce, byId, h, icon } from "../../shared/dom.js";
import { fieldsOf, OverlayField } from "./field.js";
import { appliesToFile, GOALS } from "./guide.js";
import { picker } from "./picker.js";
import { Pipeline } from "./pipeline.js";
import { PresetChoice, recipeOf } from "./presets.js";
import { formFields, fromJSON, isSingle, summary, takesOverlay, toJSON } from "./state.js";
import { Variants } from "./variants.js";

/** Number of output parameters that are always shown; the others are behind "More". */
const PLAIN_OUTPUT = 2;

export class Recipe {
  /** `firstParameters` gets the name of an operation and returns the parameters with which it is added. */
  constructor(state, catalog, presets, { firstParameters, onOverlay }) {
    this.state = state;
    this._catalog = catalog;
    this._first = firstParameters;
    this.pipeline = new Pipeline(state, catalog);
    this.variants = new Variants(state, catalog);
    this.overlay = new OverlayField(onOverlay);
    this.output = fieldsOf(catalog.output, {}, (name, value) => state.setOutput(name, value));
    this._picker = picker(catalog.operations, { pick: (operation) => this._add(operation), file: () => this._toFile() });
    this._presets = new PresetChoice(presets, catalog.only_presets, {
      choose: (name) => state.change({ preset: name }, "Preset chosen"),
      open: (preset) => this._openPreset(preset),
    });
    if (catalog.only_presets && !state.value.preset) state.value = { ...state.value, preset: presets[0]?.preset ?? null };
    this.element = this._build();
    state.addEventListener("change", () => this.render());
    this.render();
  }

  /** What is sent besides the picture: {fields, overlay}; with {summary, json} for the list of tasks. */
  get task() {
    return this.taskOf(this.state.value);
  }

  /** The same for another recipe. */
  taskOf(value) {
    return {
      fields: formFields(value, this._catalog),
      overlay: takesOverlay(value, this._catalog) ? this.overlay.file : null,
      summary: summary(value),
      json: toJSON(value),
    };
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
    for (let part = target.element.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    target.focus();
  }

  /** Return the step to which a field or step belongs, or null. */
  stepOf(target) {
    return this.pipeline.steps.find((each) => each === target || each.fields.includes(target)) ?? null;
  }

  clear() {
    this.state.clear();
    announce("All steps removed");
    this._addButton.focus();
  }

  render() {
    const { value } = this.state;
    this._presets.show(value.preset);
    this.pipeline.render();
    this.variants.render();
    for (const field of this.output) {
      field.show(value.output[field.name]);
      field.element.hidden = !appliesToFile(field.name, value.output);
    }
    this._single.hidden = value.variants.length > 0;
    this._empty.hidden = value.steps.length > 0;
    byId("clear-steps").hidden = value.steps.length === 0 || value.preset !== null;
    this.overlay.element.hidden = !takesOverlay(value, this._catalog);
    this._own.hidden = value.preset !== null;
  }

  /** Open the dialog of operations. */
  choose() {
    if (!this._own.hidden) this._picker.showModal();
  }

  /** Begin with the recipe of a goal. */
  _begin(json) {
    const { steps, output } = fromJSON(json, this._catalog);
    this.state.change({ steps, output }, "Goal chosen");
    const [first] = this.pipeline.steps;
    this.pipeline.open(first);
    first.focus();
    if (first.name === "redact") first.draw();
  }

  _toFile() {
    this.output[0].focus();
  }

  _openPreset(preset) {
    try {
      this.state.replace(fromJSON(recipeOf(preset), this._catalog), "Preset opened");
    } catch (error) {
      this._presets.complain(`This preset cannot be changed here: ${error.message}.`);
    }
  }

  _target(field) {
    if (field === "preset") return this._presets;
    if (field === "overlay") return this.overlay;
    const variant = field.match(/^variants\.([\w-]+)\.?(\w+)?/);
    if (variant && !field.includes("operations")) return this.variants.find(variant[1], variant[2]);
    const found = field.match(/(?:^|\.)operations?(?:\[(\d+)\])?(?:\.(\w+))?/);
    const step = found
      ? this.pipeline.steps[Number(found[1] ?? 0)]
      : isSingle(this.state.value, this._catalog)
        ? this.pipeline.steps[0]
        : undefined;
    const name = found ? found[2] : field.match(/^\w+/)?.[0];
    const parameter = step?.fields.find((each) => each.name === name);
    return parameter ?? (found ? step : this.output.find((each) => each.name === name)) ?? null;
  }

  _add(operation) {
    const { key } = this.state.add(operation.operation, this._first(operation.operation));
    announce(`${operation.operation.replaceAll("_", " ")} added as step ${this.pipeline.steps.length}`);
    const view = this.pipeline.find(key);
    this.pipeline.open(view);
    view.focus();
  }

  _build() {
    this._addButton = h("button", { type: "button", class: "button add", onclick: () => this.choose() }, icon("plus"), "Add an operation");
    this.pipeline.element.addEventListener("emptied", () => this._addButton.focus());
    const goal = ([name, json]) => h("button", { type: "button", class: "button small", onclick: () => this._begin(json) }, name);
    this._empty = h(
      "div",
      { class: "stack no-steps" },
      h("p", { class: "soft small" }, "No operations yet. Only the file format changes."),
      h("div", { class: "row goals", role: "group", "aria-label": "Begin with" }, GOALS.map(goal)),
    );
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
    this._single = h(
      "div",
      { class: "stack" },
      h(
        "div",
        { class: "form" },
        this.output.slice(0, PLAIN_OUTPUT).map(({ element }) => element),
      ),
      this._more,
    );
    this._own = h(
      "div",
      { class: "stack" },
      h("div", { class: "stack steps-part" }, this._empty, this.pipeline.element, this._addButton, this.overlay.element),
      h(
        "section",
        { class: "file-part stack", "aria-labelledby": "file-title" },
        h("h3", { id: "file-title" }, "File"),
        this._single,
        this.variants.element,
      ),
    );
    return h("div", { class: "stack" }, this._presets.element, this._own, this._picker);
  }
}
