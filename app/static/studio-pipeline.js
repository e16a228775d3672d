/* The steps in their order: added, opened, moved by buttons or by dragging, removed. */

import { announce, h } from "./dom.js";
import { words } from "./studio-controls.js";
import { Step } from "./studio-step.js";

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
    // The neighbour moves, so that focus and a drag stay with the step.
    const neighbour = by < 0 ? step.element.previousElementSibling : step.element.nextElementSibling;
    if (by < 0) step.element.after(neighbour);
    else step.element.before(neighbour);
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
    this.steps.forEach((step, index) => step.place(index, this.steps.length));
    announce(news);
    this._onChange();
  }

  /** Follow the pointer until it is let go: the step changes places with each neighbour whose middle is passed. */
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
    const listeners = { pointermove: follow, pointerup: end, pointercancel: end };
    for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name, listener);
  }

  /** Return -1 or 1 when the pointer is past the middle of the neighbour on that side, else 0. */
  _wayOf(element, clientY) {
    const middle = (neighbour) => {
      const { top, height } = neighbour.getBoundingClientRect();
      return top + height / 2;
    };
    const { previousElementSibling: before, nextElementSibling: after } = element;
    if (before && clientY < middle(before)) return -1;
    return after && clientY > middle(after) ? 1 : 0;
  }
}
