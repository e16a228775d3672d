/* The result of a picture: sizes, times, the report; with buttons to save it and to copy commands. */

import { announce, copyText, h, icon } from "../shared/dom.js";
import { bytes, duration } from "../shared/format.js";
import { facts, loaded } from "./picture.js";
import { curl, python } from "./snippets.js";

const COPIED_MS = 1800;

/** Build the view of a finished picture; `choose` is called with the index of the variant to show. */
export function resultOf(picture, choose) {
  const { output } = picture;
  const buttons = [
    h("button", { type: "button", class: "button primary", onclick: () => save(picture) }, icon("download"), "Download"),
    copyButton("Copy as curl", () => curl(snippetOf(picture))),
    copyButton("Copy as Python", () => python(snippetOf(picture))),
  ];
  return h(
    "div",
    { class: "result stack" },
    picture.outputs.length > 1 && variants(picture, choose),
    h(
      "dl",
      { class: "measures" },
      measures(picture.record, output).map(([name, ...told]) => h("div", {}, h("dt", {}, name), h("dd", { class: "numbers" }, told))),
    ),
    h("div", { class: "row" }, buttons),
    output.report && facts(output.report),
  );
}

function measures({ file, waited_s: waited, ran_s: ran }, output) {
  const isReport = output.format === "json";
  const size = ({ width, height }) => (width ? `${width} × ${height}` : "unknown");
  const arrow = h("span", { class: "arrow" }, "→");
  return [
    ["Pixels", size(file), ...(isReport ? [] : [arrow, size(output)])],
    ["Bytes", bytes(file.bytes), arrow.cloneNode(true), bytes(output.bytes), ...(isReport ? [] : [saving(file.bytes, output.bytes)])],
    ["Waited", duration(waited)],
    ["Worked", duration(ran)],
  ];
}

function saving(before, after) {
  const percent = Math.round((after / before - 1) * 100);
  return h("span", { class: percent <= 0 ? "saving" : "growth" }, percent <= 0 ? `−${-percent} %` : `+${percent} %`);
}

function variants(picture, choose) {
  const select = h(
    "select",
    { class: "input", id: "variant", onchange: () => choose(Number(select.value)) },
    picture.outputs.map(({ variant, name }, index) =>
      h("option", { value: String(index), selected: index === picture.chosen }, variant || name),
    ),
  );
  return h("div", { class: "field" }, h("label", { for: "variant" }, "Result"), select);
}

/** Save the results of a picture, one after the other. */
export async function save(picture) {
  for (const output of picture.outputs) {
    const { url, name } = await loaded(output);
    const link = h("a", { href: url, download: name, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
  }
}

function snippetOf({ name, recipe, outputs }) {
  return {
    origin: location.origin,
    name,
    overlay: recipe.overlay?.name ?? null,
    fields: recipe.fields,
    results: outputs.map((output) => output.name),
    isPicture: outputs.length === 1 && !outputs[0].variant && outputs[0].format !== "json",
  };
}

function copyButton(label, write) {
  const words = h("span", {}, label);
  return h(
    "button",
    {
      type: "button",
      class: "button",
      onclick: async () => {
        await copyText(write());
        words.textContent = "Copied";
        announce(`${label}: copied`);
        setTimeout(() => {
          words.textContent = label;
        }, COPIED_MS);
      },
    },
    icon("copy"),
    words,
  );
}
