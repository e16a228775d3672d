/* A parameter: its name, its control, its help and its error. */

import { h, icon } from "../../shared/dom.js";
import { words } from "../../shared/format.js";
import { control } from "./controls.js";

let fields = 0;

/** Longer help texts are folded to two lines. */
const LONG_HELP = 96;

export class Field {
  /** `value` is undefined for the default; defaults are not sent. `onChange` gets what is entered. */
  constructor(name, schema, value, onChange) {
    fields += 1;
    this.name = name;
    this.value = value;
    this.id = `field-${fields}`;
    this._onChange = onChange;
    this._reset = h(
      "button",
      {
        type: "button",
        class: "button quiet small reset",
        "aria-label": `Reset ${words(name)}`,
        onclick: () => this._clear(),
      },
      "reset",
    );
    this._error = h("p", { class: "error", id: `${this.id}-error`, hidden: true });
    this._control = control({
      id: this.id,
      labelId: `${this.id}-label`,
      describedBy: `${this.id}-help ${this.id}-error`,
      name,
      schema,
      change: (given) => this._changed(given),
    });
    this.element = this._build(schema);
    this._control.show(value);
    this._mark();
  }

  /** Show a value that was not entered here. */
  show(value) {
    if (JSON.stringify(value) === JSON.stringify(this.value)) return;
    this.value = value;
    this._control.show(value);
    this.complain(null);
    this._mark();
  }

  /** Let its slider end at a number, if it has one. */
  limit(most) {
    this._control.limit?.(most);
  }

  _clear() {
    this._control.show(undefined);
    this._changed(undefined);
    this._control.focusOn.focus();
  }

  /** Show or clear the error of this field. */
  complain(message) {
    this._error.textContent = message ?? "";
    this._error.hidden = !message;
    for (const input of this.element.querySelectorAll(".input, [role=radiogroup], .switch")) {
      if (message) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    this.element.dispatchEvent(new Event("complained", { bubbles: true }));
  }

  get hasError() {
    return !this._error.hidden;
  }

  focus() {
    this._control.focusOn.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "center" });
  }

  _changed(given) {
    this.value = given;
    this.complain(null);
    this._mark();
    this._onChange(given);
  }

  _mark() {
    this._reset.hidden = this.value === undefined;
  }

  _build(schema) {
    const { element, isGroup, isInline } = this._control;
    const label = isGroup
      ? h("span", { class: "label", id: `${this.id}-label` }, words(this.name))
      : h("label", { for: this.id, id: `${this.id}-label` }, words(this.name));
    const line = h("div", { class: "caption" }, label, this._reset, isInline && element);
    return h("div", { class: "field", "data-field": this.name }, line, !isInline && element, this._help(schema.description), this._error);
  }

  _help(description = "") {
    const help = h("p", { class: "help", id: `${this.id}-help` }, description);
    if (description.length <= LONG_HELP) return help;
    help.classList.add("folded");
    // Whether something is folded away depends on the width.
    new ResizeObserver(() => {
      if (help.clientHeight && help.classList.contains("folded")) more.hidden = help.scrollHeight <= help.clientHeight + 1;
    }).observe(help);
    const more = h(
      "button",
      {
        type: "button",
        class: "more",
        "aria-expanded": "false",
        "aria-label": `More about ${words(this.name)}`,
        onclick: () => {
          const isOpen = !help.classList.toggle("folded");
          more.setAttribute("aria-expanded", String(isOpen));
          more.textContent = isOpen ? "less" : "more";
        },
      },
      "more",
    );
    return h("div", { class: "long-help" }, help, more);
  }
}

/** Build the fields of the `parameters` of a catalog, with their values; `onChange` gets a name and a value. */
export function fieldsOf(parameters, values, onChange) {
  return Object.entries(parameters).map(([name, schema]) => new Field(name, schema, values[name], (value) => onChange(name, value)));
}

/* The overlay, a second picture that some operations use. */

export class OverlayField {
  constructor(onChange) {
    this.file = null;
    this._onChange = onChange;
    this._input = h("input", {
      type: "file",
      accept: "image/*",
      id: "overlay",
      class: "input",
      "aria-describedby": "overlay-error",
      onchange: () => this._take(this._input.files[0] ?? null),
    });
    this._remove = h(
      "button",
      { type: "button", class: "button quiet small", "aria-label": "Remove the overlay", hidden: true, onclick: () => this._clear() },
      icon("close"),
    );
    this._note = h("p", { class: "soft small" });
    this._error = h("p", { class: "error", id: "overlay-error", hidden: true });
    this.element = h(
      "div",
      { class: "field overlay", hidden: true },
      h("label", { for: "overlay" }, "Overlay"),
      h("div", { class: "row tight" }, this._input, this._remove),
      this._note,
      h("p", { class: "help" }, "The second picture, for steps that place it over the first."),
      this._error,
    );
  }

  complain(message) {
    this._error.textContent = message ?? "";
    this._error.hidden = !message;
    if (message) this._input.setAttribute("aria-invalid", "true");
    else this._input.removeAttribute("aria-invalid");
    if (message) this.element.hidden = false;
  }

  focus() {
    this._input.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "center" });
  }

  /** Use a file that was not chosen here. */
  show(file) {
    this.file = file;
    this._remove.hidden = file === null;
    this._note.textContent = file ? file.name : "";
  }

  _take(file) {
    this.file = file;
    this._note.textContent = "";
    this._remove.hidden = file === null;
    this.complain(null);
    this._onChange();
  }

  _clear() {
    this._input.value = "";
    this._take(null);
    this._input.focus();
  }
}
