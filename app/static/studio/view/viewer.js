/* Compare before and after with a divider; zoom and pan by wheel, buttons, keys and dragging. */

import { h, icon } from "../shared/dom.js";

const MOST_ZOOM = 16;
const ZOOM_STEP = 1.25;
const PAN_PX = 48;

/** Distance in pixels within which the pointer grabs the divider. */
const GRASP_PX = 28;

export class Viewer {
  constructor() {
    this._zoom = 1;
    this._pan = [0, 0];
    this._split = 0.5;
    this._build();
    new ResizeObserver(() => this._lay()).observe(this.element);
  }

  /** Show one or two pictures; either may be null. Resolves when they are loaded, to false if one cannot be shown. */
  async show(before, after) {
    this.element.classList.toggle("both", Boolean(before && after));
    const found = await Promise.all([this._load(this._before, before), this._load(this._after, after)]);
    this.fit();
    return found.every(Boolean);
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
    return this._after.hidden ? this._before : this._after;
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
    image.src = url;
    try {
      await image.decode();
      return true;
    } catch {
      image.hidden = image.getAttribute("src") === url ? true : image.hidden;
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
        "aria-label": "Picture; plus and minus zoom, arrow keys move it",
        onkeydown: (event) => this._key(event),
        onpointerdown: (event) => this._grasp(event),
      },
      h("div", { class: "pane before" }, this._before),
      h("div", { class: "pane after" }, this._after),
      h("span", { class: "tag before", "aria-hidden": "true" }, "Before"),
      h("span", { class: "tag after", "aria-hidden": "true" }, "After"),
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
    else if (move && this._zoom > 1) {
      this._pan = this._pan.map((pan, axis) => pan + move[axis]);
      this._lay();
    } else return;
    event.preventDefault();
  }

  _wheel(event) {
    const isUseless = event.deltaY > 0 ? this._zoom <= 1 : this._zoom >= MOST_ZOOM;
    if (isUseless) return; // then the page scrolls
    event.preventDefault();
    const box = this.element.getBoundingClientRect();
    this.zoomBy(Math.exp(-event.deltaY / 400), [event.clientX - box.left, event.clientY - box.top]);
  }

  _grasp(start) {
    if (start.button !== 0 || this.element.classList.contains("drawing")) return;
    const box = this.element.getBoundingClientRect();
    const isDivider =
      this.element.classList.contains("both") &&
      (this._zoom === 1 || Math.abs(start.clientX - box.left - this._split * box.width) < GRASP_PX);
    if (!isDivider && this._zoom === 1) return;
    let [x, y] = [start.clientX, start.clientY];
    const follow = (event) => {
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

  _divide(share) {
    this._split = Math.min(1, Math.max(0, share));
    this._slider.value = Math.round(this._split * 100);
  }
}
