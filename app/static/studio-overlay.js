/* The second picture, which some operations lay over the first. */

import { h, icon } from "./dom.js";

export class OverlayField {
  constructor(onChange) {
    this.file = null;
    this._onChange = onChange;
    this._input = h("input", { type: "file", accept: "image/*", id: "overlay", class: "input", "aria-describedby": "overlay-error", onchange: () => this._take(this._input.files[0] ?? null) });
    this._remove = h("button", { type: "button", class: "button quiet small", "aria-label": "Leave the overlay out", hidden: true, onclick: () => this._clear() }, icon("close"));
    this._error = h("p", { class: "error", id: "overlay-error", hidden: true });
    this.element = h("div", { class: "field overlay", hidden: true },
      h("label", { for: "overlay" }, "Overlay"), h("div", { class: "row tight" }, this._input, this._remove),
      h("p", { class: "help" }, "The second picture, for steps that lay one over the first."), this._error);
  }

  complain(message) {
    this._error.textContent = message ?? "";
    this._error.hidden = !message;
    if (message) this._input.setAttribute("aria-invalid", "true");
    else this._input.removeAttribute("aria-invalid");
    if (message) this.element.hidden = false;
  }

  focus() {
    this._input.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "center" });
  }

  _take(file) {
    this.file = file;
    this._remove.hidden = file === null;
    this.complain(null);
    this._onChange();
  }

  _clear() {
    this._input.value = "";
    this._take(null);
    this._input.focus();
  }
}
