/*
 * The table of tasks: follows the event feed and keeps the reader's place.
 *
 * Events change rows on the next frame. New tasks and results, which events do not contain, come with the newest page,
 * which is loaded at most once a second; so rows are correct within a second of the last event.
 */

import { request } from "../../shared/api.js";
import { byId, h } from "../../shared/dom.js";
import { count } from "../../shared/format.js";
import { nothing } from "../notices.js";
import { Place } from "./place.js";
import { Row } from "./row.js";

const PAGE = 100;
const MOST_ROWS = 300;
const MOST_COUNTED = 999;
const INTERVAL_MS = 1000;
const SINGLE_LOOKS = 10;

export class TaskTable {
  /** @type {((error: Error) => void) | undefined} */
  onError;

  constructor(filters, actions) {
    this.filters = filters;
    this.actions = actions;
    this.body = byId("rows");
    this.rows = new Map();
    this.changed = new Set();
    this.stale = new Set();
    /** Ids of tasks whose state changed since the last page was requested, which may not contain the change. */
    this.heard = new Set();
    this.fresh = new Set();
    this.isNewExpected = false;
    this.next = null;
    this.generation = 0;
    this.place = new Place(this.body, () => this.fresh.size && this.lookSoon());
    byId("fresh").addEventListener("click", () => this.toTop());
    byId("more").addEventListener("click", () => this.more());
  }

  /** Handle an event of the feed. */
  hear(event) {
    if (event.data.status !== undefined) this.heard.add(event.data.task_id);
    const row = this.rows.get(event.data.task_id);
    if (row) {
      if (row.hear(event)) this.stale.add(row.id);
      this.changed.add(row);
      this.frame ??= requestAnimationFrame(() => this.draw());
    } else {
      this.isNewExpected ||= event.data.status !== undefined;
    }
    if (this.isNewExpected || this.stale.size) this.lookSoon();
  }

  draw() {
    this.frame = null;
    for (const row of this.changed) row.draw();
    this.changed.clear();
  }

  lookSoon() {
    if (!this.isLooking) this.timer ??= setTimeout(() => this.look(), INTERVAL_MS);
  }

  /** Load the newest page, and changed rows further down. */
  async look() {
    clearTimeout(this.timer);
    this.timer = null;
    this.isLooking = true;
    const { generation } = this;
    this.isNewExpected = false;
    try {
      const page = await this.fetch();
      if (generation === this.generation) {
        this.take(page);
        this.markHeard();
        await this.lookAtStale();
      }
    } catch (error) {
      this.onError?.(error);
    }
    this.isLooking = false;
    if (this.isNewExpected || this.stale.size) this.lookSoon();
  }

  fetch() {
    this.heard = new Set();
    const query = this.filters.query();
    query.set("limit", PAGE);
    return request(`/tasks?${query}`);
  }

  async lookAtStale() {
    const ids = [...this.stale].slice(0, SINGLE_LOOKS);
    await Promise.all(
      ids.map(async (id) => {
        this.stale.delete(id);
        const record = await request(`/tasks/${id}`).catch(() => null);
        if (record) this.update(this.rows.get(id), record);
        else this.drop(id);
      }),
    );
  }

  /** Start again with a new filter. */
  async reset() {
    this.generation += 1;
    const { generation } = this;
    this.body.setAttribute("aria-busy", "true");
    const page = await this.fetch();
    if (generation !== this.generation) return;
    this.replace(page);
    this.markHeard();
    if (this.stale.size) this.lookSoon();
  }

  /** Load the rows again whose state changed while the page was under way. */
  markHeard() {
    for (const id of this.heard) if (this.rows.has(id)) this.stale.add(id);
  }

  replace(page) {
    this.rows.clear();
    this.changed.clear();
    this.stale.clear();
    this.body.replaceChildren();
    this.next = page.next;
    this.append(page.tasks);
    this.body.setAttribute("aria-busy", "false");
    this.forgetFresh();
  }

  take({ tasks, next }) {
    const unknown = tasks.filter((record) => !this.rows.has(record.task_id));
    for (const record of tasks) {
      this.stale.delete(record.task_id);
      this.update(this.rows.get(record.task_id), record);
    }
    if (!unknown.length) return;
    if (this.place.isHeld()) this.count(unknown);
    else if (unknown.length === tasks.length)
      this.replace({ tasks, next }); // there are more tasks between these and the known ones
    else this.prepend(unknown);
  }

  prepend(records) {
    const known = records.map((record) => this.row(record));
    this.body.prepend(...known.map((row) => row.element));
    this.rows = new Map([...known.map((row) => [row.id, row]), ...this.rows]);
    for (const id of [...this.rows.keys()].slice(MOST_ROWS)) {
      this.drop(id);
      this.next = null;
      this.isCut = true;
    }
    this.forgetFresh();
  }

  append(records) {
    const rows = records.filter((record) => !this.rows.has(record.task_id)).map((record) => this.row(record));
    this.body.append(...rows.map((row) => row.element));
    for (const row of rows) this.rows.set(row.id, row);
    this.showState();
  }

  row(record) {
    return new Row(record, this.actions);
  }

  update(row, record) {
    if (!row) return;
    row.show(record);
    const { statuses } = this.filters;
    if (statuses.length && !statuses.includes(record.status) && !this.place.isHeld()) this.drop(row.id);
  }

  drop(id) {
    this.rows.get(id)?.element.remove();
    this.rows.delete(id);
    this.stale.delete(id);
    this.showState();
  }

  /** Show the number of new tasks that are not inserted because the reader is among the rows. */
  count(records) {
    for (const { task_id: id } of records) if (this.fresh.size <= MOST_COUNTED) this.fresh.add(id);
    const most = this.fresh.size > MOST_COUNTED;
    byId("fresh").textContent = `${count(Math.min(this.fresh.size, MOST_COUNTED))}${most ? "+" : ""} new`;
    byId("fresh").hidden = false;
  }

  forgetFresh() {
    this.fresh.clear();
    byId("fresh").hidden = true;
    this.showState();
  }

  async toTop() {
    byId("tasks").scrollIntoView();
    byId("tasks-title").focus({ preventScroll: true });
    await this.reset().catch((error) => this.onError?.(error));
  }

  /** Load the page after the last row, also if rows were removed there. */
  async more() {
    const { generation } = this;
    const last = [...this.rows.values()].at(-1);
    let path = this.next;
    if (!path) {
      const query = this.filters.query();
      query.set("limit", PAGE);
      query.set("before", new Date(Date.parse(last.record.created_at) + 1).toISOString());
      path = `/tasks?${query}`;
    }
    const page = await request(path).catch((error) => this.onError?.(error));
    if (!page || generation !== this.generation) return;
    this.next = page.next;
    this.isCut = false;
    const before = this.rows.size;
    this.append(page.tasks);
    [...this.rows.values()][before]?.link.focus();
  }

  showState() {
    byId("more").hidden = !this.next && !this.isCut;
    byId("no-rows").hidden = this.rows.size > 0;
    this.body.parentElement.hidden = this.rows.size === 0;
    if (this.rows.size || byId("no-rows").dataset.open === String(this.filters.isOpen)) return;
    byId("no-rows").dataset.open = String(this.filters.isOpen);
    byId("no-rows").replaceChildren(
      this.filters.isOpen
        ? nothing(
            "picture",
            "No tasks yet",
            "Process a picture in the studio or with curl, and it appears here.",
            h("a", { class: "button primary", href: "/" }, "Open the studio"),
          )
        : nothing(
            "search",
            "No tasks match",
            "Try another status, operation or time.",
            h("button", { class: "button", type: "button", onclick: () => this.filters.clear() }, "Show all tasks"),
          ),
    );
  }
}
