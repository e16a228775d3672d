/* The charts of the last hour or day, and the same numbers as a table. */

import { byId, h } from "./dom.js";
import { count, duration } from "./format.js";
import { percent, rate } from "./monitor-figures.js";
import { Plot } from "./monitor-plot.js";
import { clock } from "./monitor-times.js";

const QUANTILES = [["p50", "first"], ["p95", "second"], ["p99", "third"]];
const seconds = (value) => (value === 0 ? "0" : value < 1 ? `${+(value * 1000).toPrecision(3)} ms` : value < 60 ? `${+value.toPrecision(3)} s` : duration(value));
const whole = (value) => count(Math.round(value * 10) / 10);
const quantiles = (title, field) => ({
  title, format: seconds,
  lines: QUANTILES.map(([name, style]) => ({ name, style, of: (point) => point[field]?.[name] })),
});

const CHARTS = [
  { title: "Queue", format: whole, lines: [
    { name: "running", style: "first", of: (point) => point.queue?.running }, { name: "waiting", style: "second", of: (point) => point.queue?.waiting }] },
  { title: "Oldest waiting", format: seconds, lines: [{ name: "age", style: "second", of: (point) => point.queue?.oldest_waiting_s }] },
  { title: "Throughput", format: rate, lines: [{ name: "ended", style: "second", of: (point) => point.per_second }] },
  { title: "Failure rate", format: percent, lines: [{ name: "failed", style: "second", of: (point) => point.failure_rate }] },
  quantiles("Waiting time", "waiting_s"),
  quantiles("Running time", "running_s"),
];

const plots = CHARTS.map((chart) => new Plot(chart));
let shown = null;

/** Build the charts' places, and follow the theme. */
export function buildCharts(onRange) {
  byId("charts").replaceChildren(...plots.map((plot) => plot.element));
  const restyle = () => plots.forEach((plot) => plot.restyle());
  new MutationObserver(restyle).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
  byId("range").append(...["hour", "day"].map((range) =>
    h("label", {}, h("input", { type: "radio", name: "range", value: range, checked: range === "hour", onchange: () => onRange(range) }), h("span", {}, range === "hour" ? "Hour" : "Day"))));
  byId("numbers").addEventListener("toggle", () => shown && showTable(shown));
}

/** Show the points of `/stats`; the last one, which goes on, has the queue as it is now. */
export async function showCharts(stats) {
  const points = stats.points.map((point, i) =>
    i < stats.points.length - 1 ? point : { ...point, queue: { ...stats.now, oldest_waiting_s: stats.now.oldest_waiting_s ?? 0 } });
  shown = { ...stats, points };
  const times = points.map((point) => Date.parse(point.at) / 1000);
  const over = `last ${stats.range}`;
  await Promise.all(plots.map((plot, i) =>
    plot.show(times, CHARTS[i].lines.map((line) => points.map((point) => line.of(point) ?? null)), over)));
  if (byId("numbers").open) showTable(shown);
}

function showTable({ points, range }) {
  const columns = CHARTS.flatMap((chart) => chart.lines.map((line) => ({ ...line, chart })));
  const head = h("tr", {}, h("th", { scope: "col" }, "From"),
    columns.map(({ chart, name }) => h("th", { scope: "col", class: "number" }, chart.lines.length > 1 ? `${chart.title}, ${name}` : chart.title)));
  const rows = points.toReversed().map((point) => h("tr", {}, h("th", { scope: "row" }, clock(point.at, { seconds: false })),
    columns.map(({ chart, of }) => h("td", { class: "number" }, (of(point) ?? null) === null ? "–" : chart.format(of(point))))));
  const place = byId("numbers").querySelector(".table-wrap")
    ?? byId("numbers").appendChild(h("div", { class: "table-wrap", tabindex: 0, role: "region", "aria-label": "History as a table" }));
  const { scrollTop, scrollLeft } = place;
  place.replaceChildren(h("table", {}, h("caption", { class: "visually-hidden" }, `The last ${range}`), h("thead", {}, head), h("tbody", {}, rows)));
  place.scrollTo(scrollLeft, scrollTop);
}
