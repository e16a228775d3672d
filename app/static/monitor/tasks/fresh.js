/* The button over the rows for new tasks that are not inserted: because the reader is among the rows, or the list is sorted. */

import { byId } from "../../shared/dom.js";
import { count } from "../../shared/format.js";

const MOST_COUNTED = 999;

export class Fresh {
  /** `onClick` loads the list again. */
  constructor(onClick) {
    this.ids = new Set();
    this.button = byId("fresh");
    this.button.addEventListener("click", onClick);
  }

  get size() {
    return this.ids.size;
  }

  count(records) {
    for (const { task_id: id } of records) if (this.ids.size <= MOST_COUNTED) this.ids.add(id);
    const most = this.ids.size > MOST_COUNTED;
    this.show(`${count(Math.min(this.ids.size, MOST_COUNTED))}${most ? "+" : ""} new`);
  }

  /** Say that a sorted list lacks new tasks. */
  offerReload() {
    this.show("New tasks: load again");
  }

  forget() {
    this.ids.clear();
    this.button.hidden = true;
  }

  show(text) {
    this.button.textContent = text;
    this.button.hidden = false;
  }
}
