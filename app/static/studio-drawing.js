/* Rectangles drawn on a viewer's picture, in the picture's own pixels. */

import { announce, h } from "./dom.js";

/** Smaller ones are slips of the hand. */
const LEAST_PX = 4;

/** Let rectangles be drawn until the returned function is called, or Escape pressed; `onBox` hears {left, top, width, height}. */
export function drawOn(viewer, onBox, onEnd) {
  const view = viewer.element;
  const band = h("span", { class: "band", hidden: true, "aria-hidden": "true" });
  view.append(band);
  view.classList.add("drawing");
  announce("Drag over the picture to draw boxes. Escape ends it.");
  const drawn = [];
  const over = new AbortController();
  const { signal } = over;

  const pointOf = (event) => {
    const box = view.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const spanOf = ([fromX, fromY], [toX, toY]) => ({ x: Math.min(fromX, toX), y: Math.min(fromY, toY), wide: Math.abs(toX - fromX), high: Math.abs(toY - fromY) });

  function show(element, { x, y, wide, high }) {
    element.hidden = false;
    for (const [name, value] of Object.entries({ left: x, top: y, width: wide, height: high })) element.style.setProperty(name, `${value}px`);
  }

  /** Leave a box in view that was drawn, wherever the picture is moved. */
  function keep(box) {
    const element = h("span", { class: "band", "aria-hidden": "true" });
    view.append(element);
    drawn.push({ box, element });
    place();
  }

  function place() {
    const { left, top, scale } = viewer.frameOf();
    for (const { box, element } of drawn) show(element, { x: left + box.left * scale, y: top + box.top * scale, wide: box.width * scale, high: box.height * scale });
  }

  view.addEventListener("lay", place, { signal });

  view.addEventListener("pointerdown", (start) => {
    if (start.button !== 0) return;
    start.preventDefault();
    const from = pointOf(start);
    view.setPointerCapture(start.pointerId);
    const follow = (event) => show(band, spanOf(from, pointOf(event)));
    const end = (event) => {
      view.removeEventListener("pointermove", follow);
      band.hidden = true;
      const span = spanOf(from, pointOf(event));
      if (Math.min(span.wide, span.high) < LEAST_PX) return;
      const box = inPicture(span, viewer.frameOf());
      keep(box);
      onBox(box);
    };
    view.addEventListener("pointermove", follow, { signal });
    view.addEventListener("pointerup", end, { signal, once: true });
  }, { signal });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); }, { signal });

  function stop() {
    over.abort();
    for (const element of [band, ...drawn.map((each) => each.element)]) element.remove();
    view.classList.remove("drawing");
    onEnd();
  }
  return stop;
}

/** Turn a span of the view into whole pixels of the picture, cut to it. */
function inPicture({ x, y, wide, high }, { left, top, scale, width, height }) {
  const within = (value, most) => Math.min(most, Math.max(0, Math.round(value)));
  const [fromX, fromY] = [within((x - left) / scale, width - 1), within((y - top) / scale, height - 1)];
  const [toX, toY] = [within((x + wide - left) / scale, width), within((y + high - top) / scale, height)];
  return { left: fromX, top: fromY, width: Math.max(1, toX - fromX), height: Math.max(1, toY - fromY) };
}
