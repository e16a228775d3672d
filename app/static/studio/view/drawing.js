/* A list of objects with numbers as a small table; rectangles can also be drawn on the picture. */

import { announce, h, icon } from "../shared/dom.js";

export function boxes({ id, labelId, describedBy, schema, change }) {
  const names = Object.keys(schema.items.properties);
  let rows = [];
  const body = h("tbody");
  const add = h("button", { type: "button", class: "button small", id, onclick: () => append({}, true) }, icon("plus"), "Add a box");
  const draw = h(
    "button",
    {
      type: "button",
      class: "button small draw",
      "aria-pressed": "false",
      onclick: () => draw.dispatchEvent(new CustomEvent("draw", { bubbles: true, detail: { button: draw, found: (box) => append(box) } })),
    },
    icon("draw"),
    "Draw on the picture",
  );
  const element = h(
    "div",
    { class: "boxes", role: "group", "aria-labelledby": labelId, "aria-describedby": describedBy },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          names.map((name) => h("th", { scope: "col" }, name)),
          h("td"),
        ),
      ),
      body,
    ),
    h("div", { class: "row" }, add, isRectangle(names) && draw),
  );

  function tell() {
    element.classList.toggle("empty-list", rows.length === 0);
    change(rows.length ? rows.map((row) => ({ ...row })) : undefined);
  }

  function append(row, takesFocus = false) {
    rows.push(row);
    const line = rowOf(
      names,
      schema.items.properties,
      row,
      tell,
      (number) => `${number} of box ${[...body.children].indexOf(line) + 1}`,
      () => {
        rows = rows.filter((other) => other !== row);
        line.remove();
        tell();
        add.focus();
      },
    );
    body.append(line);
    if (takesFocus) line.querySelector("input").focus();
    tell();
  }

  return {
    element,
    isGroup: true,
    focusOn: add,
    show: (value) => {
      rows = [];
      body.replaceChildren();
      for (const row of value ?? []) append({ ...row });
      if (!value?.length) element.classList.add("empty-list");
    },
  };
}

function isRectangle(names) {
  return ["left", "top", "width", "height"].every((name) => names.includes(name));
}

function rowOf(names, properties, row, tell, caption, remove) {
  const fields = names.map((name) => {
    const input = h("input", {
      type: "number",
      class: "input numbers",
      min: properties[name].minimum,
      max: properties[name].maximum,
      value: row[name],
      onfocus: () => input.setAttribute("aria-label", caption(name)),
      "aria-label": name,
      oninput: () => {
        if (input.value === "") delete row[name];
        else row[name] = Number(input.value);
        tell();
      },
    });
    return h("td", {}, input);
  });
  const bin = h("button", { type: "button", class: "button quiet small", "aria-label": "Remove the box", onclick: remove }, icon("close"));
  return h("tr", {}, fields, h("td", {}, bin));
}

/* Rectangles drawn on the picture of a viewer, in pixels of the picture. */

/** Smaller rectangles are ignored as accidental. */
const LEAST_PX = 4;

/** Let the user draw rectangles until the returned function is called or Escape is pressed; `onBox` gets {left, top, width, height}. */
export function drawOn(viewer, onBox, onEnd) {
  const view = viewer.element;
  const band = h("span", { class: "band", hidden: true, "aria-hidden": "true" });
  view.append(band);
  view.classList.add("drawing");
  announce("Drag over the picture to draw boxes. Press Escape to finish.");
  const drawn = [];
  const over = new AbortController();
  const { signal } = over;

  /** @returns {[number, number]} */
  const pointOf = (event) => {
    const box = view.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const spanOf = ([fromX, fromY], [toX, toY]) => ({
    x: Math.min(fromX, toX),
    y: Math.min(fromY, toY),
    wide: Math.abs(toX - fromX),
    high: Math.abs(toY - fromY),
  });

  function show(element, { x, y, wide, high }) {
    element.hidden = false;
    for (const [name, value] of Object.entries({ left: x, top: y, width: wide, height: high }))
      element.style.setProperty(name, `${value}px`);
  }

  /** Keep a drawn box visible when the picture moves. */
  function keep(box) {
    const element = h("span", { class: "band", "aria-hidden": "true" });
    view.append(element);
    drawn.push({ box, element });
    place();
  }

  function place() {
    const { left, top, scale } = viewer.frameOf();
    for (const { box, element } of drawn)
      show(element, { x: left + box.left * scale, y: top + box.top * scale, wide: box.width * scale, high: box.height * scale });
  }

  view.addEventListener("lay", place, { signal });

  view.addEventListener(
    "pointerdown",
    (start) => {
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
    },
    { signal },
  );
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.key === "Escape") stop();
    },
    { signal },
  );

  function stop() {
    over.abort();
    for (const element of [band, ...drawn.map((each) => each.element)]) element.remove();
    view.classList.remove("drawing");
    onEnd();
  }
  return stop;
}

/** Convert a span of the view to whole pixels, clipped to the picture. */
function inPicture({ x, y, wide, high }, { left, top, scale, width, height }) {
  const within = (value, most) => Math.min(most, Math.max(0, Math.round(value)));
  const [fromX, fromY] = [within((x - left) / scale, width - 1), within((y - top) / scale, height - 1)];
  const [toX, toY] = [within((x + wide - left) / scale, width), within((y + high - top) / scale, height)];
  return { left: fromX, top: fromY, width: Math.max(1, toX - fromX), height: Math.max(1, toY - fromY) };
}
