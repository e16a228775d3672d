/* A step of the recipe: its name, its parameters and the buttons to move it. */

import { h, icon } from "../../shared/dom.js";
import { words } from "../../shared/format.js";
import { fieldsOf } from "./field.js";
import { applies, isMain } from "./guide.js";

export class StepView {
  /** `step` is part of the recipe's state; `on` has callbacks for `set` (name, value), `move` (by -1 or 1), `remove`, `open`, `draw` and `grab`. */
  constructor(step, operation, on) {
    this.key = step.key;
    this.operation = operation;
    this.name = operation.operation;
    this._on = on;
    this.fields = fieldsOf(operation.parameters, step.parameters, (name, value) => {
      this.complain(null);
      on.set(this, name, value);
    });
    this.element = this._build(`step-${step.key}`);
    this.show(step);
  }

  /** Show the parameters of the step. */
  show({ parameters }) {
    for (const field of this.fields) {
      field.show(parameters[field.name]);
      field.element.hidden = !applies(this.name, field.name, parameters);
    }
    const values = Object.entries(parameters).map(
      ([name, value]) => `${words(name).toLowerCase()} ${Array.isArray(value) ? value.length : value}`,
    );
    this._summary.textContent = values.join(", ") || (this.fields.length ? "default settings" : this._firstSentence());
  }

  get isOpen() {
    return !this._form.hidden;
  }

  open(isOpen) {
    this._form.hidden = !isOpen;
    this._toggle.setAttribute("aria-expanded", String(isOpen));
    this.element.classList.toggle("open", isOpen);
  }

  /** Set the position of the step, which its buttons and its name show. */
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

  /** Show the error of the step itself. */
  complain(message) {
    this._error.textContent = message ?? "";
    this._error.hidden = !message;
  }

  /** Say in the head, which is always in sight, how many fields have an error. */
  _countErrors() {
    const count = this.fields.filter(({ hasError }) => hasError).length;
    this._errors.textContent = count ? `${count} ${count === 1 ? "error" : "errors"}` : "";
  }

  /** Let the sliders of sizes and places in the picture end where the picture does. */
  limit(width, height) {
    if (!["resize", "crop"].includes(this.name)) return;
    for (const field of this.fields) {
      if (["width", "left"].includes(field.name)) field.limit(width);
      if (["height", "top"].includes(field.name)) field.limit(height);
    }
  }

  /** Draw its boxes on the picture. */
  draw() {
    this._on.draw(this);
  }

  focus(part = "toggle") {
    const preferred = { up: this._up, down: this._down }[part] ?? this._toggle;
    (preferred.disabled ? this._toggle : preferred).focus();
  }

  /** The main parameters, and the others folded. */
  _fields() {
    const [main, more] = [true, false].map((isShown) => this.fields.filter(({ name }) => isMain(this.name, name) === isShown));
    const elements = (fields) => fields.map(({ element }) => element);
    if (!more.length) return elements(main);
    return [
      ...elements(main),
      h("details", { class: "more-fields" }, h("summary", {}, "More"), h("div", { class: "form" }, elements(more))),
    ];
  }

  _drawButton() {
    const button = h(
      "button",
      { type: "button", class: "button small draw", onclick: () => button.dispatchEvent(new Event("draw", { bubbles: true })) },
      icon("draw"),
      "Draw on the picture",
    );
    return h("div", { class: "row" }, button);
  }

  _firstSentence() {
    return this.operation.description.split(/[.:;](?:\s|$)/)[0];
  }

  _build(id) {
    const button = (glyph, run) => h("button", { type: "button", class: "button quiet small", onclick: run }, icon(glyph));
    this._number = h("span", { class: "number-of-step numbers", "aria-hidden": "true" });
    this._summary = h("span", { class: "summary" });
    this._errors = h("span", { class: "errors" });
    this._toggle = h(
      "button",
      {
        type: "button",
        class: "title",
        "aria-expanded": "false",
        "aria-controls": id,
        onclick: () => this._on.open(this, !this.isOpen),
      },
      h("span", {}, h("b", {}, words(this.name)), " ", this._errors),
      this._summary,
    );
    this._up = button("up", () => this._on.move(this, -1));
    this._down = button("down", () => this._on.move(this, 1));
    this._remove = button("close", () => this._on.remove(this));
    this._error = h("p", { class: "error", hidden: true });
    const grip = h("span", { class: "grip", "aria-hidden": "true", onpointerdown: (event) => this._on.grab(this, event) }, icon("grip"));
    this._form = h(
      "div",
      { class: "form", id, hidden: true },
      h("p", { class: "soft small" }, this.operation.description.split("\n\n")[0]),
      this._fields(),
      this.name === "crop" && this._drawButton(),
    );
    return h(
      "li",
      { class: "step", "data-operation": this.name, ondraw: () => this._on.draw(this), oncomplained: () => this._countErrors() },
      h("div", { class: "head" }, grip, this._number, this._toggle, h("span", { class: "tools" }, this._up, this._down, this._remove)),
      this._error,
      this._form,
    );
  }
}
