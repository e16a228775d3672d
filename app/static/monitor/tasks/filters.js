/* The filter of the list, which is part of the page's URL so that it can be shared. */

import { request } from "../../shared/api.js";
import { byId, h } from "../../shared/dom.js";

export const STATUSES = { PENDING: "Waiting", STARTED: "Running", SUCCESS: "Done", FAILURE: "Failed", REVOKED: "Revoked" };
const TIMES = [
  ["", "Any time"],
  ["900", "Last 15 minutes"],
  ["3600", "Last hour"],
  ["86400", "Last day"],
  ["custom", "From … to …"],
];
const KEPT = ["status", "operation", "owner", "batch", "time", "since", "before"];

export class Filters {
  constructor(onChange) {
    this.form = byId("filters");
    this.onChange = onChange;
    const kept = new URLSearchParams(location.search);
    const statuses = (kept.get("status") ?? "").split(",");
    this.form.append(
      h(
        "fieldset",
        { class: "choices" },
        h("legend", { class: "visually-hidden" }, "Status"),
        Object.entries(STATUSES).map(([status, name]) =>
          h(
            "label",
            {},
            h("input", { type: "checkbox", name: "status", value: status, checked: statuses.includes(status) }),
            h("span", {}, name),
          ),
        ),
      ),
      field("Operation", h("select", { class: "input", name: "operation" }, h("option", { value: "" }, "Any operation"))),
      field(
        "Time",
        h(
          "select",
          { class: "input", name: "time" },
          TIMES.map(([value, text]) => h("option", { value }, text)),
        ),
      ),
      field("From", h("input", { class: "input", type: "datetime-local", name: "since", step: 1 })),
      field("To", h("input", { class: "input", type: "datetime-local", name: "before", step: 1 })),
      field("Key", h("input", { class: "input", name: "owner", placeholder: "Any key", autocomplete: "off", spellcheck: "false" })),
      field("Batch", h("input", { class: "input", name: "batch", placeholder: "Any batch", autocomplete: "off", spellcheck: "false" })),
    );
    this.form.owner.parentElement.hidden = true;
    for (const name of ["time", "since", "before", "owner", "batch"]) this.form[name].value = kept.get(name) ?? "";
    this.form.addEventListener("change", () => this.changed());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.showTimes();
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
    const { operations } = await request("/operations").catch(() => ({ operations: [] }));
    select.append(
      ...operations
        .filter(({ operation }) => operation !== chosen)
        .map(({ operation }) => h("option", { value: operation }, words(operation))),
    );
  }

  changed() {
    this.showTimes();
    const given = this.given();
    const kept = new URLSearchParams(KEPT.filter((name) => given[name]).map((name) => [name, given[name]]));
    history.replaceState(null, "", `${location.pathname}${kept.size ? `?${kept}` : ""}${location.hash}`);
    this.onChange();
  }

  /** Show the tasks of an operation or of a key, and go there. */
  choose(name, value) {
    const field = this.form[name];
    if (field.matches("select") && ![...field.options].some((option) => option.value === value))
      field.append(h("option", { value }, words(value)));
    field.value = value;
    this.changed();
    byId("tasks-title").focus();
    byId("tasks").scrollIntoView({ block: "start" });
  }

  showTimes() {
    for (const name of ["since", "before"]) this.form[name].parentElement.hidden = this.form.time.value !== "custom";
  }

  get statuses() {
    return new FormData(this.form).getAll("status");
  }

  given() {
    const data = new FormData(this.form);
    const custom = data.get("time") === "custom";
    return {
      status: this.statuses.join(","),
      operation: data.get("operation"),
      owner: String(data.get("owner")).trim(),
      batch: String(data.get("batch")).trim(),
      time: data.get("time"),
      since: custom ? data.get("since") : "",
      before: custom ? data.get("before") : "",
    };
  }

  /** Return the query of `GET /tasks` for the current time. */
  query() {
    const { time, ...given } = this.given();
    const at = (local) => local && new Date(local).toISOString();
    const since = Number(time) ? new Date(Date.now() - Number(time) * 1000).toISOString() : at(given.since);
    const all = { ...given, since, before: at(given.before) };
    return new URLSearchParams(/** @type {string[][]} */ (Object.entries(all).filter(([, value]) => value)));
  }

  get isOpen() {
    return this.query().size === 0;
  }

  clear() {
    this.form.reset();
    for (const box of this.form.querySelectorAll("[type=checkbox]")) box.checked = false;
    for (const name of ["operation", "time", "since", "before", "owner", "batch"]) this.form[name].value = "";
    this.changed();
  }
}

export const words = (operation) => operation.replaceAll("_", " ");

function field(label, control) {
  control.id = `filter-${control.name}`;
  return h("div", { class: "field" }, h("label", { for: control.id, class: "visually-hidden" }, label), control);
}
