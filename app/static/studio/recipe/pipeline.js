/* The list of steps: open, move by buttons or dragging, remove. It shows the state and changes it. */

import { announce, h } from "../../shared/dom.js";
import { words } from "../../shared/format.js";
import { operationOf } from "./state.js";
import { StepView } from "./step.js";

export class Pipeline {
  /** @type {StepView[]} */
  steps = [];
  /** @type {[number, number] | null} */
  _size = null;

  /** Dispatches "emptied" when the last step is removed, and "opened" when another step is open. */
  constructor(state, catalog) {
    this._state = state;
    this._catalog = catalog;
    this.element = h("ol", { class: "steps", "aria-label": "Steps, in their order" });
    this._on = {
      set: (step, name, value) => state.setParameter(step.key, name, value),
      open: (step, isOpen) => this.open(isOpen ? step : null),
      move: (step, by) => this._move(step, by),
      remove: (step) => this._remove(step),
      draw: (step) => this.element.dispatchEvent(new CustomEvent("draw", { bubbles: true, detail: step.key })),
      grab: (step, event) => this._drag(step, event),
    };
  }

  /** Show the steps of the state; views are kept for steps that stay. */
  render() {
    const views = new Map(this.steps.map((view) => [view.key, view]));
    const { steps } = this._state.value;
    const wasOpen = this.opened;
    this.steps = steps.map((step) => views.get(step.key) ?? new StepView(step, operationOf(step.operation, this._catalog), this._on));
    for (const [index, view] of this.steps.entries()) {
      if (!views.has(view.key) && this._size) view.limit(...this._size);
      view.show(steps[index]);
      view.place(index, steps.length);
      if (this.element.children[index] !== view.element) this._insert(view.element, index);
    }
    while (this.element.children.length > steps.length) this.element.lastElementChild.remove();
    if (wasOpen && !this.steps.includes(wasOpen)) this._tellOpened();
  }

  /** Return the step that is open, or null. */
  get opened() {
    return this.steps.find(({ isOpen }) => isOpen) ?? null;
  }

  /** The size of the selected picture, where sliders end. */
  limit(width, height) {
    this._size = [width, height];
    for (const step of this.steps) step.limit(width, height);
  }

  find(key) {
    return this.steps.find((view) => view.key === key) ?? null;
  }

  /** Open one step and close the others; null closes all. */
  open(chosen) {
    for (const step of this.steps) step.open(step === chosen);
    this._tellOpened();
  }

  _tellOpened() {
    this.element.dispatchEvent(new Event("opened", { bubbles: true }));
  }

  /** A step that moves by one keeps the focus and the drag: its neighbor is moved instead. */
  _insert(element, index) {
    const there = this.element.children[index];
    if (there && element.previousElementSibling === there) element.after(there);
    else this.element.insertBefore(element, there ?? null);
  }

  _move(step, by) {
    const to = this.steps.indexOf(step) + by;
    if (to < 0 || to >= this.steps.length) return;
    this._state.move(step.key, by);
    announce(`${words(step.name)} is step ${to + 1} of ${this.steps.length} now`);
    if (!step.element.classList.contains("dragged")) step.focus(by < 0 ? "up" : "down");
  }

  _remove(step) {
    const index = this.steps.indexOf(step);
    this._state.remove(step.key);
    const next = this.steps[Math.min(index, this.steps.length - 1)];
    if (next) next.focus();
    else this.element.dispatchEvent(new CustomEvent("emptied", { bubbles: true }));
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
