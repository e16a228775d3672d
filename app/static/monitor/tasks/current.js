/* The current row: that with the focus, or that had it last. */

import { byId } from "../../shared/dom.js";

export class Current {
  constructor(table) {
    this.table = table;
    this.id = null;
    this.index = -1;
    byId("rows").addEventListener("focusin", (event) => this.note(event.target.closest("tr").dataset.task));
  }

  note(id) {
    this.id = id;
    this.index = this.ids.indexOf(id);
  }

  get ids() {
    return [...this.table.rows.keys()];
  }

  get row() {
    return this.table.rows.get(this.id) ?? null;
  }

  /** Return the id of the task that is `by` rows further than another, or null. */
  beside(id, by) {
    const { ids } = this;
    const at = ids.indexOf(id);
    return at < 0 ? null : (ids[at + by] ?? null);
  }

  /** Focus the row that is `by` rows further; after the last one, load more. */
  async move(by) {
    const { ids } = this;
    const known = ids.indexOf(this.id);
    // In place of a row that is gone comes the next one.
    const to = known >= 0 ? known + by : Math.max(0, by > 0 ? this.index : this.index - 1);
    if (to >= ids.length && this.table.hasMore) await this.table.more();
    else this.focus(ids[Math.min(to, ids.length - 1)]);
  }

  /** Focus a row, or if it is gone, the title of the list. */
  focus(id) {
    const row = this.table.rows.get(id);
    if (row) row.link.focus();
    else byId("tasks-title").focus({ preventScroll: true });
  }
}
