/* Wishes that the service knows by name. */

import { h } from "./dom.js";
import { words } from "./studio-controls.js";

export class PresetChoice {
  /** With `isOnly` there is no other wish than one of them. */
  constructor(presets, isOnly, onChange) {
    this.chosen = null;
    this._select = h("select", { class: "input", id: "preset", "aria-describedby": "preset-about preset-error", onchange: () => choose() },
      !isOnly && h("option", { value: "" }, "none: my own steps"), presets.map(({ preset }) => h("option", { value: preset }, preset)));
    this._error = h("p", { class: "error", id: "preset-error", hidden: true });
    const about = h("p", { class: "help", id: "preset-about" });
    const choose = () => {
      this.chosen = find();
      tell();
      this.complain(null);
      onChange();
    };
    const find = () => presets.find(({ preset }) => preset === this._select.value) ?? null;
    const tell = () => { about.textContent = this.chosen ? told(this.chosen) : ""; };
    this.chosen = find();
    tell();
    this.element = h("div", { class: "field presets", hidden: presets.length === 0 }, h("label", { for: "preset" }, "Preset"), this._select, about, this._error);
  }

  complain(message) {
    this._error.textContent = message ?? "";
    this._error.hidden = !message;
  }

  focus() {
    this._select.focus();
  }
}

function told(preset) {
  const steps = ({ operations = [], output }) =>
    [...operations.map(({ operation }) => words(operation).toLowerCase()), output?.format && output.format !== "keep" && output.format].filter(Boolean).join(", ");
  const does = preset.variants ? Object.entries(preset.variants).map(([name, variant]) => `${name}: ${steps(variant)}`).join("; ") : steps(preset);
  return [preset.description, does].filter(Boolean).join(" · ");
}
