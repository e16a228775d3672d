/* A step of the recipe: its name, its parameters and the buttons to move it. */

import { announce, h, icon } from "../shared/dom.js";
import { words } from "./controls.js";
import { fieldsOf, valuesOf } from "./field.js";

let steps = 0;

export class Step {
  /** `on` has callbacks for `change`, `move` (by -1 or 1), `remove`, `open` and `grab`. */
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

  /** The step as an entry of `operations`. */
  get entry() {
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

  complain(message) {
    this._error.textContent = message ?? "";
    this._error.hidden = !message;
  }

  focus(part = "toggle") {
    const preferred = { up: this._up, down: this._down }[part] ?? this._toggle;
    (preferred.disabled ? this._toggle : preferred).focus();
  }

  _changed(isNews = true) {
    const told = Object.entries(this.values).map(
      ([name, value]) => `${words(name).toLowerCase()} ${Array.isArray(value) ? value.length : value}`,
    );
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
    this._toggle = h(
      "button",
      {
        type: "button",
        class: "title",
        "aria-expanded": "false",
        "aria-controls": id,
        onclick: () => this._on.open(this, !this.isOpen),
      },
      h("b", {}, words(this.name)),
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
      this.fields.map(({ element }) => element),
    );
    return h(
      "li",
      { class: "step", "data-operation": this.name },
      h("div", { class: "head" }, grip, this._number, this._toggle, h("span", { class: "tools" }, this._up, this._down, this._remove)),
      this._error,
      this._form,
    );
  }
}

/* The dialog of operations, with a search in names and help texts. */

/** Build the dialog; `onPick` is called with the chosen operation. Open it with `showModal`. */
export function picker(operations, onPick) {
  const search = h("input", {
    type: "search",
    class: "input",
    id: "operation-search",
    placeholder: "blur, color, crop …",
    autocomplete: "off",
    autofocus: true,
    oninput: () => filter(),
    onkeydown: (event) => fromSearch(event),
  });
  const entries = operations.map((operation) => ({ operation, element: entry(operation) }));
  const none = h("p", { class: "soft none", hidden: true }, "No operation matches.");
  const list = h(
    "ul",
    { class: "operations", onkeydown: (event) => fromList(event) },
    entries.map(({ element }) => element),
  );
  const dialog = h(
    "dialog",
    { class: "picker", "aria-labelledby": "picker-title" },
    h(
      "div",
      { class: "picker-head" },
      h(
        "div",
        { class: "row" },
        h("h2", { id: "picker-title" }, "Add an operation"),
        h(
          "button",
          { type: "button", class: "button quiet small close", "aria-label": "Close", onclick: () => dialog.close() },
          icon("close"),
        ),
      ),
      h("label", { class: "visually-hidden", for: "operation-search" }, "Search the operations"),
      h("div", { class: "search" }, icon("search"), search),
    ),
    list,
    none,
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    search.value = "";
    filter();
  });

  function entry(operation) {
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", onclick: () => pick(operation) },
        h("b", {}, words(operation.operation)),
        h("span", {}, operation.description.split("\n\n")[0]),
      ),
    );
  }

  function pick(operation) {
    dialog.close();
    onPick(operation);
  }

  const shown = () => entries.filter(({ element }) => !element.hidden);

  function filter() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { operation, element } of entries) element.hidden = !wanted.every((word) => textOf(operation).includes(word));
    // Matches in names come before matches in help texts.
    const isNamed = ({ operation }) =>
      words(operation.operation)
        .toLowerCase()
        .startsWith(wanted[0] ?? "");
    list.append(
      ...entries.filter(isNamed).map(({ element }) => element),
      ...entries.filter((each) => !isNamed(each)).map(({ element }) => element),
    );
    none.hidden = shown().length > 0;
  }

  function fromSearch(event) {
    const first = list.querySelector("li:not([hidden]) button");
    if (event.key === "Enter" && first) {
      event.preventDefault();
      first.click();
    }
    if (event.key === "ArrowDown" && first) {
      event.preventDefault();
      first.focus();
    }
  }

  function fromList(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const buttons = [...list.querySelectorAll("li:not([hidden]) button")];
    const next = buttons.indexOf(document.activeElement) + by;
    (next < 0 ? search : buttons[Math.min(next, buttons.length - 1)]).focus();
  }

  return dialog;
}

/** The searched text: names and help texts of an operation and its parameters. */
function textOf({ operation, description, parameters }) {
  return [words(operation), operation, description, ...Object.keys(parameters)].join(" ").toLowerCase();
}

/* The list of steps: add, open, move by buttons or dragging, remove. */

export class Pipeline {
  constructor(onChange) {
    this.steps = [];
    this.element = h("ol", { class: "steps", "aria-label": "Steps, in their order" });
    this._onChange = onChange;
    this._on = {
      change: () => this._onChange(),
      open: (step, isOpen) => this.open(isOpen ? step : null),
      move: (step, by) => this._move(step, by),
      remove: (step) => this._remove(step),
      grab: (step, event) => this._drag(step, event),
    };
  }

  add(operation, values = {}) {
    const step = new Step(operation, values, this._on);
    this.steps.push(step);
    this.element.append(step.element);
    this._arrange(`${words(step.name)} added as step ${this.steps.length}`);
    return step;
  }

  clear() {
    this.steps = [];
    this.element.replaceChildren();
    this._arrange("All steps removed");
  }

  /** Open one step and close the others; null closes all. */
  open(chosen) {
    for (const step of this.steps) step.open(step === chosen);
  }

  _move(step, by) {
    const from = this.steps.indexOf(step);
    const to = from + by;
    if (to < 0 || to >= this.steps.length) return;
    this.steps.splice(from, 1);
    this.steps.splice(to, 0, step);
    // Move the neighbor instead of the step, which keeps the focus and the drag.
    const neighbor = by < 0 ? step.element.previousElementSibling : step.element.nextElementSibling;
    if (by < 0) step.element.after(neighbor);
    else step.element.before(neighbor);
    this._arrange(`${words(step.name)} is step ${to + 1} of ${this.steps.length} now`);
    if (!step.element.classList.contains("dragged")) step.focus(by < 0 ? "up" : "down");
  }

  _remove(step) {
    const index = this.steps.indexOf(step);
    this.steps.splice(index, 1);
    step.element.remove();
    this._arrange(`${words(step.name)} removed`);
    const next = this.steps[Math.min(index, this.steps.length - 1)];
    if (next) next.focus();
    else this.element.dispatchEvent(new CustomEvent("emptied", { bubbles: true }));
  }

  _arrange(news) {
    for (const [index, step] of this.steps.entries()) step.place(index, this.steps.length);
    announce(news);
    this._onChange();
  }

  /** Follow the pointer until it is released; the step swaps with each neighbor whose middle it passes. */
  _drag(step, start) {
    if (start.button !== 0) return;
    start.preventDefault();
    const { element } = step;
    element.classList.add("dragged");
    const follow = ({ clientY }) => {
      for (let by = this._wayOf(element, clientY); by !== 0; by = this._wayOf(element, clientY)) this._move(step, by);
    };
    const end = () => {
      element.classList.remove("dragged");
      for (const [name, listener] of Object.entries(listeners)) document.removeEventListener(name, listener);
    };
    /** @type {Record<string, (event: any) => void>} */
    const listeners = { pointermove: follow, pointerup: end, pointercancel: end };
    for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener);
  }

  /** Return -1 or 1 if the pointer is past the middle of the neighbor on that side, else 0. */
  _wayOf(element, clientY) {
    const middle = (neighbor) => {
      const { top, height } = neighbor.getBoundingClientRect();
      return top + height / 2;
    };
    const { previousElementSibling: before, nextElementSibling: after } = element;
    if (before && clientY < middle(before)) return -1;
    return after && clientY > middle(after) ? 1 : 0;
  }
}
