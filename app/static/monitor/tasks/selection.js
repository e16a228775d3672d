/* The rows that are selected, and what can be done with all of them. */

import { byId, h, icon } from "../../shared/dom.js";
import { count } from "../../shared/format.js";
import { actOnAll, canBe } from "./bulk.js";

const VERBS = [
  ["retry", "Retry", "retry", ""],
  ["cancel", "Cancel", "stop", ""],
  ["remove", "Delete", "bin", "danger"],
];

export class Selection {
  /** `actions` is null in a read-only session, which has no selection. */
  constructor(table, actions) {
    this.table = table;
    this.ids = new Set();
    this.last = null;
    if (!actions) {
      byId("all").closest("th").remove();
      return;
    }
    this.all = byId("all");
    this.all.addEventListener("change", () => this.selectAll(this.all.checked));
    this.words = h("b", { class: "numbers" });
    this.buttons = VERBS.map(([verb, title, symbol, style]) =>
      h(
        "button",
        { class: `button small ${style}`, type: "button", "data-verb": verb, onclick: () => this.act(verb) },
        icon(symbol),
        title,
      ),
    );
    byId("selection").append(
      this.words,
      ...this.buttons,
      h("button", { class: "button quiet small", type: "button", onclick: () => this.clear() }, "Clear"),
    );
  }

  get size() {
    return this.ids.size;
  }

  /** Select or deselect a row; with `isRange` all from the last one on. */
  toggle(id, isOn, isRange = false) {
    const ids = [...this.table.rows.keys()];
    const [from, to] = [ids.indexOf(isRange ? this.last : id), ids.indexOf(id)];
    const range = from < 0 ? [id] : ids.slice(Math.min(from, to), Math.max(from, to) + 1);
    for (const each of range) {
      if (isOn) this.ids.add(each);
      else this.ids.delete(each);
    }
    this.last = id;
    this.show();
  }

  selectAll(isOn) {
    this.ids = new Set(isOn ? this.table.rows.keys() : []);
    this.show();
  }

  clear() {
    this.selectAll(false);
  }

  /** Forget rows that are gone. */
  retain() {
    for (const id of this.ids) if (!this.table.rows.has(id)) this.ids.delete(id);
    this.show();
  }

  get records() {
    return [...this.ids].map((id) => this.table.rows.get(id).record);
  }

  show() {
    if (!this.all) return;
    for (const [id, row] of this.table.rows) row.select(this.ids.has(id));
    this.all.checked = this.size > 0 && this.size === this.table.rows.size;
    this.all.indeterminate = this.size > 0 && !this.all.checked;
    if (!this.size && byId("selection").contains(document.activeElement)) byId("tasks-title").focus({ preventScroll: true });
    byId("selection").hidden = this.size === 0;
    this.words.textContent = `${count(this.size)} selected`;
    const { records } = this;
    for (const button of this.buttons) button.disabled = !records.some((record) => canBe(button.dataset.verb, record));
  }

  async act(verb) {
    const { records } = this;
    const changed = await actOnAll(verb, records);
    if (!changed) return;
    if (verb === "remove") for (const { task_id: id } of changed) this.table.drop(id);
    this.clear();
  }
}
