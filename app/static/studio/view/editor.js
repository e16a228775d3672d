/* Boxes on the picture: draw, move, resize and remove them, by pointer and by keys. */

import { announce, h } from "../../shared/dom.js";

/** Smaller rectangles are ignored as accidental, in pixels of the view. */
const LEAST_PX = 4;

/** Steps of the arrow keys, in pixels of the picture. */
const KEY_PX = 1;
const FAR_KEY_PX = 10;

const HANDLES = ["n", "ne", "e", "se", "s", "sw", "w", "nw"];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Edits boxes ({left, top, width, height} in pixels of the picture that the viewer shows). `on.change` gets all boxes
 * and a name that is the same while one gesture lasts; `isSingle` is for crop, which has one box and a dimmed outside.
 */
export class BoxEditor {
  constructor(viewer, { isSingle, change, done }) {
    this._viewer = viewer;
    this._isSingle = isSingle;
    this._change = change;
    this._boxes = [];
    this._gesture = 0;
    this._over = new AbortController();
    this._build(done);
    this._listen(done);
    announce("Drag over the picture to draw a box. Arrow keys move a box, with Alt they resize it, Delete removes it. Escape ends.");
  }

  /** Show the boxes of the recipe. */
  render(boxes) {
    this._boxes = boxes;
    const focused = this._elements.indexOf(/** @type {any} */ (document.activeElement));
    while (this._elements.length > boxes.length) this._elements.pop().remove();
    while (this._elements.length < boxes.length) this._elements.push(this._element());
    if (focused >= boxes.length) (this._elements.at(-1) ?? this._done).focus();
    for (const [index, box] of boxes.entries())
      this._elements[index].setAttribute(
        "aria-label",
        `Box ${index + 1}: left ${box.left}, top ${box.top}, ${box.width} by ${box.height} pixels`,
      );
    this._add.hidden = this._isSingle && boxes.length > 0;
    this._place();
  }

  close() {
    this._over.abort();
    this._layer.remove();
    this._viewer.element.classList.remove("drawing");
  }

  focus() {
    (this._elements[0] ?? this._add).focus({ preventScroll: true });
  }

  _build(done) {
    this._elements = [];
    this._band = h("span", { class: "band", hidden: true, "aria-hidden": "true" });
    this._done = h("button", { type: "button", class: "button primary small", onclick: done }, "Done");
    this._add = h("button", { type: "button", class: "button small", onclick: () => this._addInTheMiddle() }, "Add a box here");
    this._tools = h("div", { class: "editor-tools" }, this._add, this._done);
    this._layer = h("div", { class: this._isSingle ? "editor single" : "editor" }, this._band, this._tools);
    this._viewer.element.append(this._layer);
    this._viewer.element.classList.add("drawing");
  }

  _listen(done) {
    const { signal } = this._over;
    this._viewer.element.addEventListener("lay", () => this._place(), { signal });
    this._layer.addEventListener("pointerdown", (event) => this._press(event), { signal });
    this._layer.addEventListener("keydown", (event) => this._key(event), { signal });
    document.addEventListener(
      "keydown",
      (event) => {
        if (event.key === "Escape" && !document.querySelector("dialog[open]")) done();
      },
      { signal },
    );
  }

  _element() {
    const element = h(
      "div",
      { class: "box", tabIndex: 0, role: "group" },
      HANDLES.map((side) => h("i", { class: `handle ${side}`, "data-side": side })),
    );
    this._layer.append(element);
    return element;
  }

  _place() {
    const { left, top, scale } = this._viewer.frameOf();
    for (const [index, box] of this._boxes.entries())
      lay(this._elements[index], left + box.left * scale, top + box.top * scale, box.width * scale, box.height * scale);
  }

  /** @returns {[number, number]} the pointer in pixels of the picture */
  _point(event) {
    const { left: viewLeft, top: viewTop } = this._viewer.element.getBoundingClientRect();
    const { left, top, scale } = this._viewer.frameOf();
    return [(event.clientX - viewLeft - left) / scale, (event.clientY - viewTop - top) / scale];
  }

  _press(start) {
    if (start.button !== 0 || this._tools.contains(start.target)) return;
    start.preventDefault();
    start.stopPropagation();
    this._gesture += 1;
    const element = start.target.closest(".box");
    const index = element ? this._elements.indexOf(element) : -1;
    if (element) element.focus({ preventScroll: true });
    const from = this._point(start);
    const before = index < 0 ? null : this._boxes[index];
    const side = start.target.dataset.side;
    const draw = (event) => {
      const to = this._point(event);
      if (!before) this._draw(from, to, start, event);
      else this._put(index, side ? resized(before, side, to, event.shiftKey) : moved(before, to[0] - from[0], to[1] - from[1]));
    };
    const end = (event) => {
      this._layer.removeEventListener("pointermove", draw);
      this._band.hidden = true;
      if (!before && event.type === "pointerup") this._finish(from, this._point(event), start, event);
    };
    this._layer.setPointerCapture(start.pointerId);
    this._layer.addEventListener("pointermove", draw, { signal: this._over.signal });
    this._layer.addEventListener("pointerup", end, { signal: this._over.signal, once: true });
    this._layer.addEventListener("pointercancel", end, { signal: this._over.signal, once: true });
  }

  _draw(from, to, start, event) {
    if (!isLarge(start, event)) return;
    const { left, top, scale } = this._viewer.frameOf();
    const [x, y] = [Math.min(from[0], to[0]), Math.min(from[1], to[1])];
    this._band.hidden = false;
    lay(this._band, left + x * scale, top + y * scale, Math.abs(to[0] - from[0]) * scale, Math.abs(to[1] - from[1]) * scale);
  }

  /** Without a pointer, a box begins in the middle, half as wide and high as the picture. */
  _addInTheMiddle() {
    const { width, height } = this._viewer.frameOf();
    this._gesture += 1;
    this._keep({ left: width / 4, top: height / 4, width: width / 2, height: height / 2 });
  }

  _keep(box) {
    const whole = this._within(box);
    this._change(this._isSingle ? [whole] : [...this._boxes, whole], `draw ${this._gesture}`);
    this._elements.at(-1)?.focus({ preventScroll: true });
  }

  _finish([fromX, fromY], [toX, toY], start, event) {
    if (!isLarge(start, event)) return;
    this._keep({ left: Math.min(fromX, toX), top: Math.min(fromY, toY), width: Math.abs(toX - fromX), height: Math.abs(toY - fromY) });
  }

  _put(index, box) {
    const boxes = this._boxes.map((each, place) => (place === index ? this._within(box) : each));
    if (JSON.stringify(boxes) !== JSON.stringify(this._boxes)) this._change(boxes, `gesture ${this._gesture}`);
  }

  _key(event) {
    const index = this._elements.indexOf(event.target);
    if (index < 0) return;
    const arrow = ARROWS[event.key];
    if (event.key === "Delete" || event.key === "Backspace") {
      this._gesture += 1;
      this._change(
        this._boxes.filter((_, place) => place !== index),
        `remove ${this._gesture}`,
      );
      announce(`Box ${index + 1} removed`);
    } else if (arrow) {
      const [x, y] = arrow.map((each) => each * (event.shiftKey ? FAR_KEY_PX : KEY_PX));
      const box = this._boxes[index];
      this._put(
        index,
        event.altKey ? { ...box, width: Math.max(1, box.width + x), height: Math.max(1, box.height + y) } : moved(box, x, y),
      );
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Return whole pixels within the picture. */
  _within({ left, top, width, height }) {
    const frame = this._viewer.frameOf();
    const wide = Math.min(Math.max(1, Math.round(width)), frame.width);
    const high = Math.min(Math.max(1, Math.round(height)), frame.height);
    return {
      left: Math.min(Math.max(0, Math.round(left)), frame.width - wide),
      top: Math.min(Math.max(0, Math.round(top)), frame.height - high),
      width: wide,
      height: high,
    };
  }
}

function isLarge(start, event) {
  return Math.min(Math.abs(event.clientX - start.clientX), Math.abs(event.clientY - start.clientY)) >= LEAST_PX;
}

function lay(element, left, top, width, height) {
  for (const [name, value] of Object.entries({ left, top, width, height })) element.style.setProperty(name, `${value}px`);
}

const moved = (box, x, y) => ({ ...box, left: box.left + x, top: box.top + y });

/** Move the sides of a box that a handle holds to a point; `isLocked` keeps its proportions at a corner. */
function resized({ left, top, width, height }, side, [x, y], isLocked) {
  let [right, bottom] = [left + width, top + height];
  if (isLocked && side.length === 2) {
    // The point moves along the diagonal.
    const wide = Math.max(1, side.includes("w") ? right - x : x - left);
    y = side.includes("n") ? bottom - (wide * height) / width : top + (wide * height) / width;
  }
  if (side.includes("w")) left = Math.min(x, right - 1);
  if (side.includes("e")) right = Math.max(x, left + 1);
  if (side.includes("n")) top = Math.min(y, bottom - 1);
  if (side.includes("s")) bottom = Math.max(y, top + 1);
  return { left, top, width: right - left, height: bottom - top };
}
