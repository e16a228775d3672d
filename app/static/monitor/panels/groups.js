/* Where the time goes: by operation, by format, or by key; sortable, and each row filters the tasks. */

import { byId, h } from "../../shared/dom.js";
import { count, duration, words } from "../../shared/format.js";
import { percent } from "./figures.js";

const BY = { operation: "Operation", format: "Format", owner: "API key" };

/** The columns: `of` is the value by which they are sorted, `text` how it is written. */
const COLUMNS = [
  { title: "Count", of: (group) => group.count, text: (group) => count(group.count) },
  { title: "Failed", of: (group) => share(group), text: (group) => (group.failed ? percent(share(group)) : "–") },
  { title: "p50", of: (group) => group.took_s?.p50 ?? 0, text: (group) => duration(group.took_s?.p50) },
  { title: "p95", of: (group) => group.took_s?.p95 ?? 0, text: (group) => duration(group.took_s?.p95) },
  { title: "Longest", of: (group) => group.took_s?.max ?? 0, text: (group) => duration(group.took_s?.max) },
  { title: "Total", of: (group) => group.total_s, text: (group) => duration(group.total_s) },
];

const RUNS = "The counts are runs of an operation and failures in it. Other failures, such as damaged images, are in Why tasks fail.";

const share = ({ failed, count: all }) => failed / Math.max(all, failed, 1);

const SPARK = [96, 20];

export class Groups {
  /** `on.by` is called when another grouping is chosen, `on.pick` with the name of a filter and its value. */
  constructor(hasKeys, on) {
    this.by = "operation";
    this._on = on;
    this._sorted = COLUMNS.findIndex(({ title }) => title === "Total");
    this._groups = [];
    byId("by").append(
      ...Object.entries(BY)
        .filter(([by]) => by !== "owner" || hasKeys)
        .map(([by, title]) =>
          h(
            "label",
            {},
            h("input", { type: "radio", name: "by", value: by, checked: by === this.by, onchange: () => this._choose(by) }),
            h("span", {}, title),
          ),
        ),
    );
  }

  /** Show the groups of `/stats`. */
  show(groups) {
    this._groups = groups;
    const [most] = groups; // they come with the longest total first
    byId("groups-most").textContent = most ? this._name(most) : "";
    const focused = document.activeElement?.closest("#groups button")?.getAttribute("data-key");
    const { of } = COLUMNS[this._sorted];
    const rows = groups.toSorted((one, other) => of(other) - of(one)).map((group) => this._row(group));
    byId("groups").replaceChildren(
      rows.length
        ? h("table", {}, h("caption", { class: "visually-hidden" }, `Time by ${BY[this.by]}`), this._head(), h("tbody", {}, rows))
        : h("p", { class: "soft small none" }, "Nothing has ended yet."),
      rows.length && this.by === "operation" ? h("p", { class: "soft small" }, RUNS) : "",
    );
    if (focused)
      byId("groups")
        .querySelector(`[data-key="${CSS.escape(focused)}"]`)
        ?.focus();
  }

  _choose(by) {
    this.by = by;
    this._on.by();
  }

  _sort(index) {
    this._sorted = index;
    this.show(this._groups);
  }

  _head() {
    const column = ({ title }, index) =>
      h(
        "th",
        { scope: "col", class: "number", "aria-sort": index === this._sorted ? "descending" : false },
        h("button", { type: "button", class: "sort", "data-key": `sort ${title}`, onclick: () => this._sort(index) }, title),
      );
    return h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, BY[this.by]),
        COLUMNS.map(column),
        h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "History")),
      ),
    );
  }

  _name(group) {
    return this.by === "owner" ? group.name : words(group.name);
  }

  _row(group) {
    const name = this._name(group);
    const title = h(
      "button",
      { type: "button", class: "link", "data-key": group.name, onclick: () => this._on.pick(this.by, group.name) },
      name,
    );
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, title),
      COLUMNS.map(({ text }) => h("td", { class: "number numbers" }, text(group))),
      h("td", { "aria-hidden": "true" }, sparkline(group.history)),
    );
  }
}

export function sparkline(values) {
  const [width, height] = SPARK;
  const most = Math.max(...values, 1);
  const points = values.map(
    (value, index) => `${((index * width) / (values.length - 1)).toFixed(1)},${(height - 1 - (value * (height - 2)) / most).toFixed(1)}`,
  );
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("class", "spark");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  return svg;
}
