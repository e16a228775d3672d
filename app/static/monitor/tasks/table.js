/*
 * The table of tasks: follows the event feed and keeps the reader's place.
 *
 * Events change rows on the next frame. New tasks and results, which events do not contain, come with the newest page,
 * which is loaded at most once a second; so rows are correct within a second of the last event. A list with another
 * order than the newest first gets no new rows; it offers to be loaded again.
 */

import { Problem, request } from "../../shared/api.js";
import { byId } from "../../shared/dom.js";
import { Foot } from "./foot.js";
import { Fresh } from "./fresh.js";
import { Heads } from "./heads.js";
import { Place } from "./place.js";
import { Row } from "./row.js";
import { Selection } from "./selection.js";

const PAGE = 100;
/** A sorted list has no next page. */
const SORTED_PAGE = 200;
const MOST_ROWS = 300;
const INTERVAL_MS = 1000;
/** A text is searched in up to 2,000 tasks. */
const SEARCH_INTERVAL_MS = 5000;
const SINGLE_LOOKS = 10;

export class TaskTable {
  /** @type {((error: Error) => void) | undefined} */
  onError;

  constructor(filters, actions) {
    this.filters = filters;
    this.body = byId("rows");
    this.rows = new Map();
    this.selection = new Selection(this, actions);
    this.heads = new Heads(filters);
    this.foot = new Foot(filters, () => this.more());
    this.fresh = new Fresh(() => this.toTop());
    this.on = {
      actions,
      pick: (name, value) => filters.choose(name, value),
      select: (id, isOn, isRange) => this.selection.toggle(id, isOn, isRange),
      timeField: () => filters.timeField,
    };
    this.changed = new Set();
    this.stale = new Set();
    /** Ids of tasks whose state changed since the last page was requested, which may not contain the change. */
    this.outdated = new Set();
    this.isNewExpected = false;
    this.isLossExpected = false;
    this.total = 0;
    this.next = null;
    this.generation = 0;
    this.place = new Place(this.body, () => this.fresh.size && this.lookSoon());
  }

  /** Handle an event of the feed. */
  handle(event) {
    if (event.data.status !== undefined) this.outdated.add(event.data.task_id);
    const row = this.rows.get(event.data.task_id);
    if (row) {
      if (row.handle(event)) this.stale.add(row.id);
      this.redraw(row);
    } else if (event.data.status !== undefined) {
      if (!this.filters.isSorted) this.isNewExpected = true;
      else if (event.name === "queued") this.fresh.offerReload();
    }
    if (this.isNewExpected || this.stale.size) this.lookSoon();
  }

  /** Look for deleted tasks if there are fewer tasks than before: deletions send no events. */
  counted(tasks) {
    if (tasks < this.total) {
      this.isLossExpected = true;
      this.lookSoon();
    }
    this.total = tasks;
  }

  /** Draw a row on the next frame; all rows if none is given. */
  redraw(...rows) {
    for (const row of rows.length ? rows : this.rows.values()) this.changed.add(row);
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = null;
    for (const row of this.changed) row.draw();
    this.changed.clear();
    this.selection.show();
  }

  lookSoon() {
    const pause = this.filters.picked.q ? SEARCH_INTERVAL_MS : INTERVAL_MS;
    if (!this.isLooking) this.timer ??= setTimeout(() => this.look(), pause);
  }

  /** Load the newest page, and changed rows further down. */
  async look() {
    clearTimeout(this.timer);
    this.timer = null;
    this.isLooking = true;
    const { generation } = this;
    this.isNewExpected = false;
    try {
      const page = this.filters.isSorted ? null : await this.fetch();
      if (generation === this.generation) {
        if (page) this.take(page);
        this.markOutdated();
        await this.lookAtStale();
      }
    } catch (error) {
      this.onError?.(error);
    }
    this.isLooking = false;
    if (this.isNewExpected || this.stale.size) this.lookSoon();
  }

  fetch() {
    this.outdated = new Set();
    const query = this.filters.listing();
    query.set("limit", String(this.filters.isSorted ? SORTED_PAGE : PAGE));
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
    const page = await this.fetch().catch((error) => this.refuse(error));
    if (!page || generation !== this.generation) return;
    this.heads.show();
    this.replace(page);
    this.markOutdated();
    if (this.stale.size) this.lookSoon();
  }

  /** Show why a filter of the page's address is not possible; throw any other error. */
  refuse(error) {
    if (!(error instanceof Problem) || error.status !== 422) throw error;
    this.replace({ tasks: [], next: null });
    this.foot.refuse(error);
  }

  /** Load the rows again whose state changed while the page was under way. */
  markOutdated() {
    for (const id of this.outdated) if (this.rows.has(id)) this.stale.add(id);
    if (this.filters.isSorted) this.outdated = new Set();
  }

  replace(page) {
    this.rows.clear();
    this.changed.clear();
    this.stale.clear();
    this.body.replaceChildren();
    this.next = page.next;
    this.foot.searched(page.searched, true);
    this.append(page.tasks);
    this.body.setAttribute("aria-busy", "false");
    this.forgetFresh();
  }

  take(page) {
    const { tasks, next } = page;
    const unknown = tasks.filter((record) => !this.rows.has(record.task_id));
    for (const record of tasks) {
      this.stale.delete(record.task_id);
      this.update(this.rows.get(record.task_id), record);
    }
    this.suspect(page);
    if (!unknown.length) return;
    if (this.place.isHeld()) this.fresh.count(unknown);
    else if (unknown.length === tasks.length)
      this.replace({ ...page, tasks, next }); // there are more tasks between these and the known ones
    else this.prepend(unknown);
  }

  /** Load rows again that should be on this page and are not: their tasks may be deleted. */
  suspect({ tasks, next }) {
    if (!this.isLossExpected) return;
    this.isLossExpected = false;
    const field = this.filters.timeField;
    const ids = new Set(tasks.map((record) => record.task_id));
    const oldest = next && tasks.length ? tasks.at(-1)[field] : "";
    for (const [id, row] of this.rows) if (!ids.has(id) && row.record[field] > oldest) this.stale.add(id);
  }

  prepend(records) {
    const known = records.map((record) => new Row(record, this.on));
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
    const rows = records.filter((record) => !this.rows.has(record.task_id)).map((record) => new Row(record, this.on));
    this.body.append(...rows.map((row) => row.element));
    for (const row of rows) this.rows.set(row.id, row);
    this.showState();
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

  forgetFresh() {
    this.fresh.forget();
    this.showState();
  }

  async toTop() {
    byId("tasks").scrollIntoView();
    byId("tasks-title").focus({ preventScroll: true });
    await this.reset().catch((error) => this.onError?.(error));
  }

  get hasMore() {
    return Boolean(this.next || this.isCut);
  }

  /** Load the page after the last row, also if rows were removed there, and focus its first row. */
  async more() {
    const { generation } = this;
    const last = [...this.rows.values()].at(-1);
    let path = this.next;
    if (!path) {
      const query = this.filters.listing();
      query.set("limit", String(PAGE));
      query.set("before", new Date(Date.parse(last.record[this.filters.timeField]) + 1).toISOString());
      path = `/tasks?${query}`;
    }
    const page = await request(path).catch((error) => this.onError?.(error));
    if (!page || generation !== this.generation) return;
    this.next = page.next;
    this.isCut = false;
    this.foot.searched(page.searched);
    const before = this.rows.size;
    this.append(page.tasks);
    [...this.rows.values()][before]?.link.focus();
  }

  showState() {
    this.body.parentElement.hidden = this.rows.size === 0;
    this.foot.show(this.rows.size, this.hasMore);
    this.selection.retain();
  }
}
