/* What stands under the rows: older tasks, how far a search went, and why there are no rows. */

import { byId, h } from "../../shared/dom.js";
import { clock, count } from "../../shared/format.js";
import { sentence } from "../actions.js";
import { nothing } from "../notices.js";

export class Foot {
  constructor(filters, onMore) {
    this.filters = filters;
    this.examined = 0;
    this.extent = null;
    byId("more").addEventListener("click", onMore);
  }

  /** Note how far a search went; `isFirst` on the first page of a list. */
  searched(extent, isFirst = false) {
    this.extent = extent ?? null;
    this.examined = (isFirst ? 0 : this.examined) + (extent?.tasks ?? 0);
  }

  show(rows, hasMore) {
    const isPartial = this.extent !== null && !this.extent.complete;
    byId("searched").hidden = !isPartial;
    byId("searched").textContent = isPartial ? this.sentence() : "";
    byId("more").hidden = !hasMore;
    byId("more").textContent = isPartial && this.filters.isSearch ? "Search older tasks" : "Show older tasks";
    byId("no-rows").hidden = rows > 0;
    const reason = rows ? "" : isPartial ? "searching" : this.filters.isOpen ? "none" : "filtered";
    if (!reason || byId("no-rows").dataset.reason === reason) return;
    byId("no-rows").dataset.reason = reason;
    byId("no-rows").replaceChildren(this.empty(reason));
  }

  /** Say why the filter is not possible. */
  refuse(error) {
    byId("searched").hidden = true;
    byId("more").hidden = true;
    byId("no-rows").hidden = false;
    byId("no-rows").dataset.reason = "refused";
    const all = h("button", { class: "button", type: "button", onclick: () => this.filters.clear() }, "Show all tasks");
    byId("no-rows").replaceChildren(nothing("search", "This filter is not possible", sentence(error.message), all));
  }

  sentence() {
    const { oldest } = this.extent;
    const verb = this.filters.isSearch ? "searched" : "sorted";
    return `The newest ${count(this.examined)} ${this.examined === 1 ? "task was" : "tasks were"} ${verb}${oldest ? `, back to ${clock(oldest, { seconds: false })}` : ""}.`;
  }

  empty(reason) {
    if (reason === "none") {
      const studio = h("a", { class: "button primary", href: "/" }, "Open the studio");
      return nothing("picture", "No tasks yet", "Process a picture in the studio or with curl, and it appears here.", studio);
    }
    const all = h("button", { class: "button", type: "button", onclick: () => this.filters.clear() }, "Show all tasks");
    return reason === "searching"
      ? nothing("search", "No match so far", "Older tasks have not been searched yet.", all)
      : nothing("search", "No tasks match", "Try another status, operation, text or time.", all);
  }
}
