/* The filter and the order of the list, which are part of the page's URL so that they can be shared. */

import { byId, h, icon } from "../../shared/dom.js";
import { count } from "../../shared/format.js";
import { catalog } from "../catalog.js";

export const STATUSES = { PENDING: "Waiting", STARTED: "Running", SUCCESS: "Done", FAILURE: "Failed", REVOKED: "Revoked" };

/** The time by which the list of one state is ordered: that of the entry into it. */
const ENTERED = { PENDING: "queued_at", STARTED: "started_at", SUCCESS: "ended_at", FAILURE: "ended_at", REVOKED: "ended_at" };

const TIMES = [
  ["", "Any time"],
  ["900", "Last 15 minutes"],
  ["3600", "Last hour"],
  ["86400", "Last day"],
  ["custom", "From … to …"],
];

/** Filters with a field, and those that are set by a link and shown as a chip; `q` is in the search field. */
const FIELDS = ["operation", "owner", "batch", "time", "since", "before"];
const CHIPS = { tag: "Tag", code: "Error code", failure: "Failure", format: "Format" };
const PICKED = ["q", ...Object.keys(CHIPS)];
const KEPT = ["status", ...FIELDS, ...PICKED, "sort", "order"];

const NEWEST = "created desc";
const ORDERS = [
  [NEWEST, "Newest first"],
  ["created asc", "Oldest first"],
  ["waited desc", "Longest wait first"],
  ["waited asc", "Shortest wait first"],
  ["ran desc", "Longest run first"],
  ["ran asc", "Shortest run first"],
  ["bytes desc", "Largest first"],
  ["bytes asc", "Smallest first"],
];

export class Filters {
  constructor(onChange) {
    this.form = byId("filters");
    this.onChange = onChange;
    const kept = new URLSearchParams(location.search);
    /** @type {Record<string, string>} */
    this.picked = Object.fromEntries(PICKED.map((name) => [name, kept.get(name) ?? ""]));
    this.counts = new Map(Object.keys(STATUSES).map((status) => [status, h("b", { class: "numbers" })]));
    /** @type {Map<string, string>} */
    this.labels = new Map();
    this.chips = h("span", { class: "row tight chips" });
    this.form.append(
      statusChoices((kept.get("status") ?? "").split(","), this.counts),
      field("Operation", h("select", { class: "input", name: "operation" }, h("option", { value: "" }, "Any operation"))),
      field("Time", h("select", { class: "input", name: "time" }, TIMES.map(option))),
      field("From", h("input", { class: "input", type: "datetime-local", name: "since", step: 1 })),
      field("To", h("input", { class: "input", type: "datetime-local", name: "before", step: 1 })),
      field("Key", h("input", { class: "input", name: "owner", placeholder: "Any key", autocomplete: "off", spellcheck: "false" })),
      field("Batch", h("input", { class: "input", name: "batch", placeholder: "Any batch", autocomplete: "off", spellcheck: "false" })),
      field("Order", h("select", { class: "input", name: "sorting" }, ORDERS.map(option))),
      this.chips,
    );
    this.form.sorting.parentElement.classList.add("sorting");
    this.form.owner.parentElement.hidden = true;
    for (const name of ["time", "since", "before", "owner", "batch"]) this.form[name].value = kept.get(name) ?? "";
    this.form.sorting.value = `${kept.get("sort") ?? "created"} ${kept.get("order") ?? "desc"}`;
    if (!this.form.sorting.value) this.form.sorting.value = NEWEST; // the address has an unknown one
    this.form.addEventListener("change", () => this.changed());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.show();
    this.offerOperations(kept.get("operation"));
  }

  /** Add a button beside the filters. */
  add(button) {
    this.form.append(button);
  }

  /** Offer the names of API keys, if there are any. */
  offerKeys() {
    this.form.owner.parentElement.hidden = false;
  }

  async offerOperations(chosen) {
    const select = this.form.operation;
    if (chosen) select.append(h("option", { value: chosen, selected: true }, words(chosen)));
    const { operations } = await catalog().catch(() => ({ operations: [] }));
    const others = operations.filter(({ operation }) => operation !== chosen);
    select.append(...others.map(({ operation }) => option([operation, words(operation)])));
  }

  changed() {
    this.show();
    const given = this.given();
    const kept = new URLSearchParams(KEPT.filter((name) => given[name]).map((name) => [name, given[name]]));
    history.replaceState(null, "", `${location.pathname}${kept.size ? `?${kept}` : ""}${location.hash}`);
    this.onChange();
  }

  /** Show the tasks with a value of a filter, and go there; `label` is what its chip says instead of the value. */
  choose(name, value, label = value) {
    this.labels.set(value, label);
    if (PICKED.includes(name)) this.picked[name] = value;
    else this.fill(this.form[name], value);
    this.changed();
    byId("tasks-title").focus();
    byId("tasks").scrollIntoView({ block: "start" });
  }

  /** Show all tasks with a value of a filter, without the other filters, and go there. */
  chooseOnly(name, value, label) {
    this.empty();
    this.choose(name, value, label);
  }

  fill(control, value) {
    if (control.matches("select") && ![...control.options].some((each) => each.value === value))
      control.append(option([value, words(value)]));
    control.value = value;
  }

  /** Set a filter that has no field, without going to the tasks. */
  pick(name, value) {
    if (this.picked[name] === value) return;
    this.picked[name] = value;
    this.changed();
  }

  sortBy(by, order) {
    this.form.sorting.value = `${by} ${order}`;
    this.changed();
  }

  get sort() {
    const [by, order] = this.form.sorting.value.split(" ");
    return { by, order };
  }

  /** Whether the list has another order than the newest first. */
  get isSorted() {
    return this.form.sorting.value !== NEWEST;
  }

  /** The field of a record by whose time the list is ordered. */
  get timeField() {
    const { operation, batch } = this.given();
    const { code, failure } = this.picked;
    const statuses = !this.statuses.length && (code || failure) ? ["FAILURE"] : this.statuses;
    return statuses.length === 1 && !operation && !batch && !this.isSorted ? ENTERED[statuses[0]] : "created_at";
  }

  show() {
    for (const name of ["since", "before"]) this.form[name].parentElement.hidden = this.form.time.value !== "custom";
    const chosen = Object.keys(CHIPS).filter((name) => this.picked[name]);
    this.chips.hidden = !chosen.length;
    this.chips.replaceChildren(...chosen.map((name) => this.chip(name)));
    if (!this.isCountable) this.showCounts(null);
  }

  chip(name) {
    const value = this.picked[name];
    const text = `${CHIPS[name]}: ${this.labels.get(value) ?? value}`;
    return h(
      "button",
      { class: "chip", type: "button", "aria-label": `Remove the filter ${text}`, onclick: () => this.pick(name, "") },
      text,
      icon("close"),
    );
  }

  /** Whether the counts of all tasks are those of the filter too. */
  get isCountable() {
    const { status: _, sort: __, order: ___, ...others } = this.given();
    return Object.values(others).every((value) => !value);
  }

  /** Show the number of tasks in each state, from `/stats`, unless other filters make them wrong. */
  showCounts(tasks) {
    const known = this.isCountable ? tasks : null;
    for (const [status, place] of this.counts) {
      const text = known ? count(known[status] ?? 0) : "";
      if (place.textContent !== text) place.textContent = text;
    }
  }

  get statuses() {
    return new FormData(this.form).getAll("status");
  }

  given() {
    const data = new FormData(this.form);
    const custom = data.get("time") === "custom";
    return {
      ...this.picked,
      status: this.statuses.join(","),
      operation: data.get("operation"),
      owner: String(data.get("owner")).trim(),
      batch: String(data.get("batch")).trim(),
      time: data.get("time"),
      since: custom ? data.get("since") : "",
      before: custom ? data.get("before") : "",
      sort: this.isSorted ? this.sort.by : "",
      order: this.isSorted ? this.sort.order : "",
    };
  }

  /** Return the query of `GET /tasks` for the current time, with its order. */
  listing() {
    const { time, ...given } = this.given();
    const at = (local) => local && new Date(local).toISOString();
    const since = Number(time) ? new Date(Date.now() - Number(time) * 1000).toISOString() : at(given.since);
    const all = { ...given, since, before: at(given.before) };
    return new URLSearchParams(/** @type {string[][]} */ (Object.entries(all).filter(([, value]) => value)));
  }

  /** Return the same without the order. */
  query() {
    const query = this.listing();
    query.delete("sort");
    query.delete("order");
    return query;
  }

  /** Whether tasks are searched, for which there is no index. */
  get isSearch() {
    return PICKED.some((name) => this.picked[name]);
  }

  get isOpen() {
    return this.query().size === 0;
  }

  clear() {
    this.empty();
    this.changed();
  }

  empty() {
    this.form.reset();
    for (const box of this.form.querySelectorAll("[type=checkbox]")) box.checked = false;
    for (const name of FIELDS) this.form[name].value = "";
    for (const name of PICKED) this.picked[name] = "";
    this.form.sorting.value = NEWEST;
  }
}

export const words = (operation) => operation.replaceAll("_", " ");

const option = ([value, text]) => h("option", { value }, text);

function statusChoices(chosen, counts) {
  return h(
    "fieldset",
    { class: "choices" },
    h("legend", { class: "visually-hidden" }, "Status"),
    Object.entries(STATUSES).map(([status, name]) =>
      h(
        "label",
        {},
        h("input", { type: "checkbox", name: "status", value: status, checked: chosen.includes(status) }),
        h("span", {}, name, " ", counts.get(status)),
      ),
    ),
  );
}

function field(label, control) {
  control.id = `filter-${control.name}`;
  return h("div", { class: "field" }, h("label", { for: control.id, class: "visually-hidden" }, label), control);
}
