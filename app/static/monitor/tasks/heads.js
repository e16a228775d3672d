/* The heads of the columns, by which the list is sorted. */

import { byId, h } from "../../shared/dom.js";

const TITLES = { created: "Created", waited: "Waited", ran: "Ran", bytes: "Size" };
const TIMES = { created_at: "Created", queued_at: "Queued", started_at: "Started", ended_at: "Ended" };
const WORDS = { desc: "descending", asc: "ascending" };

export class Heads {
  constructor(filters) {
    this.filters = filters;
    this.buttons = new Map();
    for (const place of byId("heads").querySelectorAll("[data-sort]")) {
      const { sort } = place.dataset;
      const button = h("button", { type: "button", class: "sort", onclick: () => this.sort(sort) }, TITLES[sort]);
      this.buttons.set(sort, button);
      place.append(button);
    }
    this.show();
  }

  sort(by) {
    const { sort } = this.filters;
    const isTurned = sort.by === by && sort.order === "desc";
    this.filters.sortBy(by, isTurned ? "asc" : "desc");
  }

  show() {
    const { sort, timeField } = this.filters;
    byId("heads").closest("table").dataset.sort = sort.by;
    this.buttons.get("created").textContent = TIMES[timeField];
    for (const [by, button] of this.buttons) {
      if (by === sort.by) button.parentElement.setAttribute("aria-sort", WORDS[sort.order]);
      else button.parentElement.removeAttribute("aria-sort");
    }
  }
}
