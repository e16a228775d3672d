/* A list of objects with numbers as a small table; rectangles are also edited on the picture. */

import { h, icon } from "../../shared/dom.js";

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
      onclick: () => draw.dispatchEvent(new Event("draw", { bubbles: true })),
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
    insert(row);
    if (takesFocus) body.lastElementChild.querySelector("input").focus();
    tell();
  }

  function insert(row) {
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
  }

  return {
    element,
    isGroup: true,
    focusOn: add,
    show: (value) => {
      rows = [];
      body.replaceChildren();
      for (const row of value ?? []) insert({ ...row }); // what is shown is no news
      element.classList.toggle("empty-list", rows.length === 0);
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
