/* The pictures as a list: sizes before and after, state, errors, totals. */

import { h } from "../../shared/dom.js";
import { bytes } from "../../shared/format.js";
import { percentSaved } from "./result.js";

export const TOLD = {
  ready: "ready",
  held: "waits to be sent",
  sending: "uploading",
  waiting: "waiting",
  working: "running",
  done: "done",
  failed: "failed",
  refused: "refused",
  stopped: "stopped",
  expired: "expired",
};

const FAILED = ["failed", "refused", "stopped", "expired"];

export class PictureList {
  constructor(onSelect) {
    this._onSelect = onSelect;
    this._isAsked = false;
    /** @type {any[]} */
    this._pictures = [];
    this._selected = null;
    this._body = h("tbody");
    this._totals = h("p", { class: "soft small numbers", role: "status" });
    this._failed = h("input", { type: "checkbox", id: "only-failed", onchange: () => this._render() });
    this.element = h(
      "div",
      { class: "picture-list", hidden: true },
      h("div", { class: "row" }, this._totals, h("label", { class: "small", for: "only-failed" }, this._failed, " failed only")),
      h(
        "table",
        {},
        h("caption", { class: "visually-hidden" }, "The pictures"),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["Name", "Before", "After", "Saved", "State"].map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        this._body,
      ),
    );
  }

  /** Show pictures at the next frame, however many changes come before it. */
  show(pictures, selected) {
    [this._pictures, this._selected] = [pictures, selected];
    if (this.element.hidden || this._isAsked) return;
    this._isAsked = true;
    requestAnimationFrame(() => {
      this._isAsked = false;
      this._render();
    });
  }

  _render() {
    const shown = this._pictures.filter(({ state }) => !this._failed.checked || FAILED.includes(state));
    this._body.replaceChildren(...shown.map((picture) => this._row(picture)));
    const done = this._pictures.filter(({ state }) => state === "done");
    const [before, after] = [sum(done.map(sizeBefore)), sum(done.map(sizeAfter))];
    const failed = this._pictures.filter(({ state }) => FAILED.includes(state)).length;
    this._totals.textContent = [
      `${done.length} of ${this._pictures.length} done`,
      before && `${bytes(before)} → ${bytes(after)} (${percentSaved(before, after)})`,
      failed && `${failed} failed`,
    ]
      .filter(Boolean)
      .join(" · ");
  }

  _row(picture) {
    const isDone = picture.state === "done";
    const [before, after] = [sizeBefore(picture), isDone ? sizeAfter(picture) : 0];
    return h(
      "tr",
      { "data-state": picture.state, "aria-current": picture === this._selected ? "true" : false },
      h("th", { scope: "row" }, h("button", { type: "button", class: "link", onclick: () => this._onSelect(picture) }, picture.name)),
      h("td", { class: "numbers" }, before ? bytes(before) : ""),
      h("td", { class: "numbers" }, after ? bytes(after) : ""),
      h("td", { class: "numbers" }, before && after ? percentSaved(before, after) : ""),
      h("td", {}, FAILED.includes(picture.state) ? `${TOLD[picture.state]}: ${picture.note}` : TOLD[picture.state]),
    );
  }
}

const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);
const sizeBefore = ({ file, record }) => file?.size ?? record?.file.bytes ?? 0;
const sizeAfter = ({ outputs }) => sum(outputs.map((output) => output.bytes));
