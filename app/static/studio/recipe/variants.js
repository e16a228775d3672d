/* The variants of a recipe: several results of one picture, each with its name, format and quality. */

import { h, icon } from "../../shared/dom.js";
import { words } from "../../shared/format.js";
import { Field } from "./field.js";

/** Output parameters that a variant shows; others are kept as they are. */
const SHOWN = ["format", "quality"];

export class Variants {
  constructor(state, catalog) {
    this._state = state;
    this._catalog = catalog;
    this._list = h("ul", { class: "variants" });
    this._add = h("button", { type: "button", class: "button small", onclick: () => this._append() }, icon("plus"), "Add a variant");
    this._shown = "";
    this.element = h("div", { class: "stack" }, this._list, h("div", { class: "row" }, this._add));
  }

  render() {
    const { variants } = this._state.value;
    const names = variants.map(({ name }) => name).join("\n");
    if (names !== this._shown) {
      this._shown = names;
      this._rows = variants.map((variant, index) => this._row(variant, index));
      this._list.replaceChildren(...this._rows.map(({ element }) => element));
    }
    for (const [index, variant] of variants.entries()) for (const field of this._rows[index].fields) field.show(variant.output[field.name]);
  }

  /** Return the element to focus for an error of a variant's field, or null. */
  find(name, field) {
    const index = this._state.value.variants.findIndex((variant) => variant.name === name);
    const row = this._rows?.[index];
    return row?.fields.find((each) => each.name === field) ?? row?.fields[0] ?? null;
  }

  /** The first variant is what the output was. */
  _append() {
    const { variants, output } = this._state.value;
    const first = { name: output.format ?? "original", output, own: [] };
    const all = variants.length ? variants : [first];
    let number = all.length + 1;
    while (all.some(({ name }) => name === `variant-${number}`)) number += 1;
    this._state.change({ variants: [...all, { name: `variant-${number}`, output: { format: "webp" }, own: [] }] }, "Variant added");
    this._rows.at(-1).name.focus();
  }

  _remove(index) {
    const { variants } = this._state.value;
    const left = variants.filter((_, place) => place !== index);
    // One variant without steps of its own is an output.
    if (left.length === 1 && !left[0].own.length) this._state.change({ variants: [], output: left[0].output }, "Variant removed");
    else this._state.change({ variants: left }, "Variant removed");
    this._add.focus();
  }

  _set(index, parts, merge) {
    const variants = this._state.value.variants.map((variant, place) => (place === index ? { ...variant, ...parts(variant) } : variant));
    this._state.change({ variants }, "Variant changed", `variant ${index} ${merge}`);
  }

  _row(variant, index) {
    const input = h("input", {
      class: "input",
      value: variant.name,
      "aria-label": `Name of variant ${index + 1}`,
      maxLength: 64,
      onchange: () => this._rename(index, input),
    });
    const fields = SHOWN.map(
      (name) =>
        new Field(name, this._catalog.output[name], variant.output[name], (value) =>
          this._set(index, ({ output }) => ({ output: withValue(output, name, value) }), name),
        ),
    );
    const bin = h(
      "button",
      { type: "button", class: "button quiet small", "aria-label": `Remove variant ${index + 1}`, onclick: () => this._remove(index) },
      icon("close"),
    );
    const own = variant.own.map(({ operation }) => words(operation).toLowerCase()).join(", ");
    const element = h(
      "li",
      { class: "variant form" },
      h("div", { class: "row tight" }, input, bin),
      own && h("p", { class: "soft small" }, `then ${own}`),
      fields.map((field) => field.element),
    );
    return { element, fields, name: input };
  }

  _rename(index, input) {
    const name = input.value.trim();
    const { variants } = this._state.value;
    const isFree = /^[A-Za-z0-9][A-Za-z0-9_-]*$/.test(name) && variants.every((each, place) => place === index || each.name !== name);
    if (isFree) this._set(index, () => ({ name }), "name");
    else input.value = variants[index].name;
  }
}

function withValue({ ...output }, name, value) {
  if (value === undefined) delete output[name];
  else output[name] = value;
  return output;
}
