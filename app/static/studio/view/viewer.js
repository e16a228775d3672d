/* Compare before and after with a divider; zoom and pan by wheel, buttons, keys and dragging. */

import { h, icon } from "../../shared/dom.js";

const MOST_ZOOM = 16;
const ZOOM_STEP = 1.25;
const PAN_PX = 48;

/** Distance in pixels within which the pointer grabs the divider. */
const GRASP_PX = 28;

export class Viewer {
  constructor() {
    /** Width to height of what is shown: another result of the same picture keeps the zoom. */
    this._shape = 0;
    this._pointers = new Map();
    this._zoom = 1;
    this._pan = [0, 0];
    this._split = 0.5;
    this._build();
    new ResizeObserver(() => this._lay()).observe(this.element);
  }

  /** Show one or two pictures; either may be null. Resolves when they are loaded, to false if one cannot be shown. */
  async show(before, after) {
    const [first, second] = await Promise.all([this._load(this._before, before), this._load(this._after, after)]);
    // A side that cannot be shown has no divider and no name.
    this.element.classList.toggle("both", Boolean(before && after && first && second));
    const { naturalWidth, naturalHeight } = this._shown();
    const shape = naturalWidth / naturalHeight;
    if (!(Math.abs(shape / this._shape - 1) < 0.01)) this.fit();
    this._shape = shape;
    this._lay();
    return first && second;
  }

  /** Name the two sides. */
  name(before, after) {
    [this._before.alt, this._after.alt] = [before, after];
    [this._tags[0].textContent, this._tags[1].textContent] = [before, after];
  }

  fit() {
    this._zoom = 1;
    this._pan = [0, 0];
    this._lay();
  }

  /** Zoom by a factor around a point of the view, by default its center. */
  zoomBy(factor, [x, y] = this._middle()) {
    const zoom = Math.min(MOST_ZOOM, Math.max(1, this._zoom * factor));
    const grown = zoom / this._zoom;
    const [middleX, middleY] = this._middle();
    this._pan = [(this._pan[0] - (x - middleX)) * grown + (x - middleX), (this._pan[1] - (y - middleY)) * grown + (y - middleY)];
    this._zoom = zoom;
    this._lay();
  }

  /** The position of the picture in the view: {left, top, scale, width, height}, the last two in pixels of the picture. */
  frameOf(image = this._shown()) {
    const { clientWidth: width, clientHeight: height } = this.element;
    const { naturalWidth, naturalHeight } = image;
    const scale = Math.min(width / naturalWidth, height / naturalHeight) * this._zoom;
    return {
      scale,
      width: naturalWidth,
      height: naturalHeight,
      left: (width - naturalWidth * scale) / 2 + this._pan[0],
      top: (height - naturalHeight * scale) / 2 + this._pan[1],
    };
  }

  _shown() {
    return this._after.hidden || !this._after.naturalWidth ? this._before : this._after;
  }

  _middle() {
    return [this.element.clientWidth / 2, this.element.clientHeight / 2];
  }

  async _load(image, url) {
    image.hidden = !url;
    image.parentElement.hidden = !url;
    if (!url) {
      image.removeAttribute("src");
      return true;
    }
    if (image.getAttribute("src") === url && image.complete) return image.naturalWidth > 0;
    image.src = url;
    try {
      await image.decode();
      return true;
    } catch {
      if (image.getAttribute("src") === url) image.hidden = image.parentElement.hidden = true;
      return false;
    }
  }

  _lay() {
    this._holdPan();
    for (const image of [this._before, this._after]) {
      if (image.hidden || !image.naturalWidth) continue;
      const { scale, width, height, left, top } = this.frameOf(image);
      image.style.setProperty("width", `${width * scale}px`);
      image.style.setProperty("height", `${height * scale}px`);
      image.style.setProperty("transform", `translate(${left}px, ${top}px)`);
      image.classList.toggle("pixels", scale >= 3);
    }
    this.element.style.setProperty("--split", `${this._split * 100}%`);
    this.element.classList.toggle("zoomed", this._zoom > 1);
    this._out.disabled = this._fit.disabled = this._zoom <= 1;
    this._in.disabled = this._zoom >= MOST_ZOOM;
    const image = this._shown();
    this._percent.textContent = image.naturalWidth ? `${Math.round(this.frameOf(image).scale * 100)} %` : "";
    this.element.dispatchEvent(new Event("lay"));
  }

  /** Keep the picture in view. */
  _holdPan() {
    const most = this._middle().map((half) => half * (this._zoom - 1));
    this._pan = this._pan.map((pan, axis) => Math.min(most[axis], Math.max(-most[axis], pan)));
  }

  _build() {
    const image = (alt) => h("img", { alt, draggable: false, hidden: true });
    this._tags = ["before", "after"].map((side) => h("span", { class: `tag ${side}`, "aria-hidden": "true" }));
    this._before = image("Before");
    this._after = image("After");
    this._slider = h("input", {
      type: "range",
      min: "0",
      max: "100",
      value: "50",
      class: "split",
      "aria-label": "Before and after",
      oninput: () => {
        this._split = Number(this._slider.value) / 100;
        this._lay();
      },
    });
    this.element = h(
      "div",
      {
        class: "viewer",
        role: "group",
        tabIndex: 0,
        "aria-label": "Picture; plus and minus zoom, 1 shows its pixels, arrow keys move it",
        onkeydown: (event) => this._key(event),
        onpointerdown: (event) => this._grasp(event),
        ondblclick: (event) => this._twice(event),
      },
      h("div", { class: "pane before" }, this._before),
      h("div", { class: "pane after" }, this._after),
      this._tags[0],
      this._tags[1],
      this._slider,
      h("span", { class: "divider", "aria-hidden": "true" }),
    );
    this.element.addEventListener("wheel", (event) => this._wheel(event), { passive: false });
    const button = (label, glyph, run) =>
      h("button", { type: "button", class: "button quiet small", "aria-label": label, onclick: run }, icon(glyph));
    this._out = button("Zoom out", "minus", () => this.zoomBy(1 / ZOOM_STEP));
    this._in = button("Zoom in", "plus", () => this.zoomBy(ZOOM_STEP));
    this._fit = button("Fit the picture in", "fit", () => this.fit());
    this._percent = h("span", { class: "percent numbers soft small" });
    this.tools = h("div", { class: "zoom", role: "group", "aria-label": "Zoom" }, this._out, this._percent, this._in, this._fit);
  }

  _key(event) {
    if (event.target !== this.element) return;
    const move = { ArrowLeft: [PAN_PX, 0], ArrowRight: [-PAN_PX, 0], ArrowUp: [0, PAN_PX], ArrowDown: [0, -PAN_PX] }[event.key];
    if (event.key === "+" || event.key === "=") this.zoomBy(ZOOM_STEP);
    else if (event.key === "-") this.zoomBy(1 / ZOOM_STEP);
    else if (event.key === "0") this.fit();
    else if (event.key === "1") this.zoomBy(1 / this.frameOf().scale);
    else if (move && this._zoom > 1) {
      this._pan = this._pan.map((pan, axis) => pan + move[axis]);
      this._lay();
    } else return;
    event.preventDefault();
  }

  /** The wheel zooms with Ctrl, which a pinch on a touch pad is as well, or while the viewer has focus; else the page scrolls. */
  _wheel(event) {
    if (!event.ctrlKey && !this.element.contains(document.activeElement)) return;
    event.preventDefault(); // also where the zoom ends: the page must not zoom instead

    const box = this.element.getBoundingClientRect();
    this.zoomBy(Math.exp(-event.deltaY / 400), [event.clientX - box.left, event.clientY - box.top]);
  }

  /** Follow two fingers: the point between them stays under them. */
  _pinch(event) {
    const spread = () => {
      const [[x1, y1], [x2, y2]] = [...this._pointers.values()];
      return { apart: Math.hypot(x2 - x1, y2 - y1), middle: /** @type {[number, number]} */ ([(x1 + x2) / 2, (y1 + y2) / 2]) };
    };
    const before = spread();
    this._pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const after = spread();
    const { left, top } = this.element.getBoundingClientRect();
    this.zoomBy(after.apart / before.apart, [after.middle[0] - left, after.middle[1] - top]);
    this._pan = [this._pan[0] + after.middle[0] - before.middle[0], this._pan[1] + after.middle[1] - before.middle[1]];
    this._lay();
  }

  _grasp(start) {
    if (start.button !== 0 || this.element.classList.contains("drawing")) return;
    if (start.pointerType === "touch") this._touch(start);
    if (this._pointers.size > 1) return;
    const box = this.element.getBoundingClientRect();
    const isDivider =
      this.element.classList.contains("both") &&
      (this._zoom === 1 || Math.abs(start.clientX - box.left - this._split * box.width) < GRASP_PX);
    if (!isDivider && this._zoom === 1) return;
    let [x, y] = [start.clientX, start.clientY];
    const follow = (event) => {
      if (this._pointers.size > 1) return;
      if (isDivider) this._divide((event.clientX - box.left) / box.width);
      else this._pan = [this._pan[0] + event.clientX - x, this._pan[1] + event.clientY - y];
      [x, y] = [event.clientX, event.clientY];
      this._lay();
    };
    follow(start);
    this.element.setPointerCapture(start.pointerId);
    this.element.addEventListener("pointermove", follow);
    this.element.addEventListener("lostpointercapture", () => this.element.removeEventListener("pointermove", follow), { once: true });
  }

  _touch(start) {
    this._pointers.set(start.pointerId, [start.clientX, start.clientY]);
    const follow = (event) => {
      if (this._pointers.size === 2 && this._pointers.has(event.pointerId)) this._pinch(event);
      else if (this._pointers.has(event.pointerId)) this._pointers.set(event.pointerId, [event.clientX, event.clientY]);
    };
    const end = (event) => {
      if (event.pointerId !== start.pointerId) return;
      this._pointers.delete(start.pointerId);
      document.removeEventListener("pointermove", follow);
      document.removeEventListener("pointerup", end);
      document.removeEventListener("pointercancel", end);
    };
    document.addEventListener("pointermove", follow);
    document.addEventListener("pointerup", end);
    document.addEventListener("pointercancel", end);
  }

  /** Twice on a point: its pixels one to one, or everything again. */
  _twice(event) {
    const { left, top } = this.element.getBoundingClientRect();
    if (this._zoom > 1) this.fit();
    else this.zoomBy(Math.max(2, 1 / this.frameOf().scale), [event.clientX - left, event.clientY - top]);
  }

  _divide(share) {
    this._split = Math.min(1, Math.max(0, share));
    this._slider.value = Math.round(this._split * 100);
  }
}
