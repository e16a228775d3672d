/* One step of the recipe: its name, its parameters, and the buttons that move it. */

import { h, icon } from "./dom.js";
import { words } from "./studio-controls.js";
import { fieldsOf, valuesOf } from "./studio-field.js";

let steps = 0;

export class Step {
  /** `on` hears `change`, `move` (by -1 or 1), `remove`, `open` and `grab`. */
  constructor(operation, values, on) {
    steps += 1;
    this.operation = operation;
    this.name = operation.operation;
    this._on = on;
    this.fields = fieldsOf(operation.parameters, values, () => this._changed());
    this.element = this._build(`step-${steps}`);
    this._changed(false);
  }

  get values() {
    return valuesOf(this.fields);
  }

  /** As the service takes it in `operations`. */
  get wish() {
    return { operation: this.name, ...this.values };
  }

  get isOpen() {
    return !this._form.hidden;
  }

  open(isOpen) {
    this._form.hidden = !isOpen;
    this._toggle.setAttribute("aria-expanded", String(isOpen));
    this.element.classList.toggle("open", isOpen);
  }

  /** Tell it where it stands, which its buttons and its name say. */
  place(index, count) {
    const name = `step ${index + 1}, ${words(this.name)}`;
    this._number.textContent = String(index + 1);
    this._up.disabled = index === 0;
    this._down.disabled = index === count - 1;
    this._up.setAttribute("aria-label", `Move up ${name}`);
    this._down.setAttribute("aria-label", `Move down ${name}`);
    this._remove.setAttribute("aria-label", `Remove ${name}`);
    this.element.classList.toggle("first", index === 0);
  }

  complain(message) {
    this._error.textContent = message ?? "";
    this._error.hidden = !message;
  }

  focus(part = "toggle") {
    const preferred = { up: this._up, down: this._down }[part] ?? this._toggle;
    (preferred.disabled ? this._toggle : preferred).focus();
  }

  _changed(isNews = true) {
    const told = Object.entries(this.values).map(([name, value]) => `${words(name).toLowerCase()} ${Array.isArray(value) ? value.length : value}`);
    this._summary.textContent = told.join(", ") || (this.fields.length ? "default settings" : this._firstSentence());
    this.complain(null);
    if (isNews) this._on.change();
  }

  _firstSentence() {
    return this.operation.description.split(/[.:;](?:\s|$)/)[0];
  }

  _build(id) {
    const button = (glyph, run) => h("button", { type: "button", class: "button quiet small", onclick: run }, icon(glyph));
    this._number = h("span", { class: "number-of-step numbers", "aria-hidden": "true" });
    this._summary = h("span", { class: "summary" });
    this._toggle = h("button", {
      type: "button", class: "title", "aria-expanded": "false", "aria-controls": id,
      onclick: () => this._on.open(this, !this.isOpen),
    }, h("b", {}, words(this.name)), this._summary);
    this._up = button("up", () => this._on.move(this, -1));
    this._down = button("down", () => this._on.move(this, 1));
    this._remove = button("close", () => this._on.remove(this));
    this._error = h("p", { class: "error", hidden: true });
    const grip = h("span", { class: "grip", "aria-hidden": "true", onpointerdown: (event) => this._on.grab(this, event) }, icon("grip"));
    this._form = h("div", { class: "form", id, hidden: true },
      h("p", { class: "soft small" }, this.operation.description.split("\n\n")[0]), this.fields.map(({ element }) => element));
    return h("li", { class: "step", "data-operation": this.name },
      h("div", { class: "head" }, grip, this._number, this._toggle, h("span", { class: "tools" }, this._up, this._down, this._remove)),
      this._error, this._form);
  }
}
