/* One form control for each type of value in the JSON Schemas of the catalog. */

import { h } from "../../shared/dom.js";
import { words } from "../../shared/format.js";
import { keyStep, scaleOf } from "../../shared/scale.js";
import { boxes } from "./boxes.js";

/** Up to this number, choices are shown side by side; more become a menu. */
const MOST_SEGMENTS = 4;

/**
 * Build the control of a value. `change` hears what is entered, undefined for the default.
 * Returns {element, isGroup, focusOn, show}: `focusOn` is where its id is and focus goes, `show` puts a value in.
 */
export function control(context) {
  const { build } = KINDS.find(({ fits }) => fits(context.schema));
  return build(context);
}

const KINDS = [
  { fits: ({ type, items }) => type === "array" && items?.type === "object", build: boxes },
  { fits: (schema) => schema.enum?.includes("northwest"), build: compass },
  { fits: (schema) => schema.enum?.length <= MOST_SEGMENTS, build: segments },
  { fits: (schema) => schema.enum, build: choice },
  { fits: (schema) => schema.type === "boolean" && "default" in schema, build: toggle },
  { fits: ({ type }) => type === "boolean", build: segments },
  { fits: ({ type }) => type === "number" || type === "integer", build: number },
  { fits: ({ format }) => format === "color", build: color },
  { fits: () => true, build: text },
];

function segments({ id, labelId, describedBy, schema, change }) {
  const options = schema.enum ?? [undefined, true, false];
  const inputs = options.map((option, index) =>
    h("input", {
      type: "radio",
      name: id,
      id: index ? `${id}-${index}` : id,
      class: "visually-hidden",
      onchange: () => change(option === schema.default ? undefined : option),
    }),
  );
  const caption = (option) => ({ undefined: "automatic", true: "yes", false: "no" })[option] ?? String(option);
  const labels = options.map((option, index) => h("label", {}, inputs[index], h("span", {}, caption(option))));
  return {
    element: h("div", { class: "segments", role: "radiogroup", "aria-labelledby": labelId, "aria-describedby": describedBy }, labels),
    isGroup: true,
    get focusOn() {
      return inputs.find((input) => input.checked) ?? inputs[0];
    },
    show: (value) =>
      inputs.forEach((input, index) => {
        input.checked = options[index] === (value ?? schema.default);
      }),
  };
}

/** The nine positions as they lie on a picture, and what else there is below. */
const PLACES = ["northwest", "north", "northeast", "west", "center", "east", "southwest", "south", "southeast"];

function compass(context) {
  const { schema } = context;
  const others = schema.enum.filter((option) => !PLACES.includes(option));
  const built = segments({ ...context, schema: { ...schema, enum: [...PLACES, ...others] } });
  built.element.classList.add("compass");
  return built;
}

function choice({ id, describedBy, schema, change }) {
  const select = h(
    "select",
    {
      id,
      class: "input",
      "aria-describedby": describedBy,
      onchange: () => change(select.value === schema.default || select.value === "" ? undefined : select.value),
    },
    "default" in schema ? null : h("option", { value: "" }, "not given"),
    schema.enum.map((option) => h("option", { value: option }, option)),
  );
  return {
    element: select,
    focusOn: select,
    show: (value) => {
      select.value = value ?? schema.default ?? "";
    },
  };
}

function toggle({ id, describedBy, schema, change }) {
  const input = h("input", {
    id,
    type: "checkbox",
    role: "switch",
    class: "switch",
    "aria-describedby": describedBy,
    onchange: () => change(input.checked === schema.default ? undefined : input.checked),
  });
  return {
    element: input,
    isInline: true,
    focusOn: input,
    show: (value) => {
      input.checked = value ?? schema.default;
    },
  };
}

function number({ id, describedBy, name, schema, change }) {
  let scale = scaleOf(schema);
  const given = (value) => (value === schema.default ? undefined : value);
  const field = h("input", {
    id,
    type: "number",
    class: "input numbers",
    step: String(keyStep(schema)),
    inputMode: schema.type === "integer" ? "numeric" : "decimal",
    min: schema.minimum,
    max: schema.maximum,
    placeholder: "default" in schema ? "" : "auto",
    "aria-describedby": describedBy,
    oninput: () => {
      const value = field.value === "" ? undefined : Number(field.value);
      slide(value);
      change(given(value));
    },
    // An empty field has its default; reported on blur, so that typing is possible.
    onchange: () => {
      if (field.value === "" && "default" in schema) field.value = schema.default;
    },
  });
  const slider =
    scale &&
    h("input", {
      type: "range",
      min: "0",
      max: String(scale.positions),
      "aria-label": `${words(name)}, slider`,
      oninput: () => {
        const value = scale.fromPosition(Number(slider.value));
        field.value = value;
        slide(value, false);
        change(given(value));
      },
    });
  function slide(value, moves = true) {
    if (!slider) return;
    if (moves) slider.value = scale.toPosition(value ?? schema.default ?? -Infinity);
    slider.setAttribute("aria-valuetext", String(value ?? schema.default ?? "automatic"));
    slider.classList.toggle("unset", value === undefined && !("default" in schema));
  }
  return {
    element: h("div", { class: slider ? "number" : "number alone" }, slider, field),
    focusOn: field,
    /** Let the slider end at a number; the field still takes greater ones. */
    limit: (most) => {
      scale = scaleOf({ ...schema, maximum: Math.min(most, schema.maximum) });
      if (slider && field.value !== "") slider.value = scale.toPosition(Number(field.value));
    },
    show: (value) => {
      field.value = value ?? schema.default ?? "";
      slide(value);
    },
  };
}

function color({ id, describedBy, name, schema, change }) {
  const given = (value) => (value === "" || value === schema.default ? undefined : value);
  const field = h("input", {
    id,
    type: "text",
    class: "input",
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "off",
    placeholder: "default" in schema ? "" : "not given",
    "aria-describedby": describedBy,
    oninput: () => {
      paint(field.value);
      change(given(field.value.trim().toLowerCase()));
    },
  });
  const well = h("input", {
    type: "color",
    class: "well",
    "aria-label": `${words(name)}, choose`,
    oninput: () => {
      field.value = well.value;
      paint(well.value);
      change(given(well.value));
    },
  });
  function paint(value) {
    well.value = hexOf(value) ?? "#000000";
    well.classList.toggle("unset", hexOf(value) === null);
  }
  return {
    element: h("div", { class: "color" }, well, field),
    focusOn: field,
    show: (value) => {
      field.value = value ?? schema.default ?? "";
      paint(field.value);
    },
  };
}

const canvas = document.createElement("canvas").getContext("2d");

/** Return a color as #rrggbb for the browser's color picker, or null if it is not valid. */
function hexOf(text) {
  if (!text || !CSS.supports("color", text)) return null;
  canvas.fillStyle = "#000";
  canvas.fillStyle = text;
  const style = String(canvas.fillStyle);
  const parts = style.match(/[\d.]+/g);
  if (style.startsWith("#")) return style;
  return `#${parts
    .slice(0, 3)
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join("")}`;
}

function text({ id, describedBy, schema, change }) {
  const field = h("input", {
    id,
    type: "text",
    class: "input",
    autocomplete: "off",
    maxLength: schema.maxLength ?? 1000,
    placeholder: schema.examples?.[0] ?? "",
    "aria-describedby": describedBy,
    oninput: () => change(field.value === "" || field.value === schema.default ? undefined : field.value),
  });
  return {
    element: field,
    focusOn: field,
    show: (value) => {
      field.value = value ?? schema.default ?? "";
    },
  };
}
