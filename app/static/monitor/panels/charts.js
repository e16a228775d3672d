/* A chart: uPlot with the theme's colors, a legend with the values under the pointer, and a text for screen readers. */

import { Unreachable } from "../../shared/api.js";
import { byId, h } from "../../shared/dom.js";
import { clock, count, duration } from "../../shared/format.js";
import { percent, rate } from "./figures.js";

const HEIGHT_PX = 132;
const FONT = "11px ui-sans-serif, system-ui, sans-serif";

/** Load the library with the first chart, because it is half of the page's size; again after a failure. */
let library = null;
export function loadLibrary() {
  library ??= new Promise((resolve, reject) => {
    document.head.append(h("link", { rel: "stylesheet", href: "/static/vendor/uPlot.min.css" }));
    const onerror = () => {
      library = null;
      reject(new Unreachable());
    };
    document.head.append(h("script", { src: "/static/vendor/uPlot.iife.min.js", onload: () => resolve(globalThis.uPlot), onerror }));
  });
  return library;
}

/** Return the current value of a color of base.css, because a canvas supports neither variables nor light-dark(). */
function color(name) {
  const probe = h("i", {});
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

export class Plot {
  /** `lines` are {name, style}; `format` formats a value. */
  constructor({ title, lines, format }) {
    this.title = title;
    this.lines = lines;
    this.format = format;
    this.values = lines.map(() => h("b", { class: "numbers" }, "–"));
    this.place = h("div", { class: "canvas", "aria-hidden": "true" });
    this.none = h("p", { class: "none soft small", hidden: true }, "Nothing to show yet");
    this.summary = h("figcaption", { class: "visually-hidden" });
    const legend = lines.map((line, i) => h("li", { "data-line": line.style }, lines.length > 1 ? `${line.name} ` : "", this.values[i]));
    this.element = h(
      "figure",
      { class: "chart", "data-chart": title },
      h("div", { class: "title", "aria-hidden": "true" }, h("h3", {}, title), h("ul", { class: "legend" }, legend)),
      this.place,
      this.none,
      this.summary,
    );
    this.data = null;
  }

  /** Show points: `times` in Unix seconds, and the values of each line, null for none. */
  async show(times, series, over) {
    this.data = [times, ...series];
    this.summary.textContent = this.words(over);
    this.none.hidden = series.some((values) => values.some((value) => value !== null));
    this.tell(null);
    const uPlot = await loadLibrary();
    if (this.plot) this.plot.setData(this.data);
    else this.draw(uPlot);
  }

  draw(uPlot) {
    this.plot = new uPlot(this.options(uPlot), this.data, this.place);
    new ResizeObserver(() => this.plot.setSize({ width: this.place.clientWidth, height: HEIGHT_PX })).observe(this.place);
  }

  /** Redraw in the colors of the new theme. */
  restyle() {
    this.plot?.redraw();
  }

  options(uPlot) {
    const axis = { stroke: () => color("ink-soft"), font: FONT, grid: { stroke: () => color("line"), width: 1 }, ticks: { show: false } };
    return {
      width: this.place.clientWidth,
      height: HEIGHT_PX,
      legend: { show: false },
      padding: [8, 8, 0, 0],
      cursor: { y: false, points: { size: 7 }, drag: { setScale: false, x: false }, sync: { key: "monitor" } },
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.15 : 1] } },
      hooks: { setCursor: [(plot) => this.tell(plot.cursor.idx)] },
      axes: [
        {
          ...axis,
          size: 24,
          space: 70,
          values: (_, ticks) =>
            ticks.map((at) =>
              clock(at * 1000, { seconds: false })
                .split(" ")
                .pop(),
            ),
        },
        { ...axis, size: 52, space: 34, values: (_, ticks) => ticks.map((value) => this.format(value)) },
      ],
      series: [
        {},
        ...this.lines.map((line) => ({
          stroke: () => color(line.style === "first" ? "ink-soft" : "accent"),
          width: 1.5,
          dash: line.style === "third" ? [4, 4] : undefined,
          points: { show: (plot, i) => isSparse(plot.data[i]), size: 5 },
          paths: uPlot.paths.linear(),
        })),
      ],
    };
  }

  /** Show the values of a point in the legend; without an index, the last known values. */
  tell(index) {
    this.values.forEach((place, i) => {
      const values = this.data?.[i + 1] ?? [];
      const value = index === null || index === undefined ? values.findLast((each) => each !== null) : values[index];
      const text = value === null || value === undefined ? "–" : this.format(value);
      if (place.textContent !== text) place.textContent = text;
    });
  }

  words(over) {
    const [times, ...series] = this.data;
    const told = series.map((values, i) => {
      const known = values.filter((value) => value !== null);
      if (!known.length) return `${this.lines[i].name}: nothing yet`;
      const most = Math.max(...known);
      const at = clock(times[values.indexOf(most)] * 1000, { seconds: false });
      return `${this.lines[i].name}: last ${this.format(known.at(-1))}, highest ${this.format(most)} at ${at}`;
    });
    return `${this.title}, ${over}. ${told.join("; ")}.`;
  }
}

/** Whether a line has so few points that they must be drawn as dots. */
const isSparse = (values) => values.filter((value) => value !== null).length < 20;

/* The charts of the last hour or day, and the same values as a table. */

const QUANTILES = [
  ["p50", "first"],
  ["p95", "second"],
  ["p99", "third"],
];
const seconds = (value) =>
  value === 0 ? "0" : value < 1 ? `${+(value * 1000).toPrecision(3)} ms` : value < 60 ? `${+value.toPrecision(3)} s` : duration(value);
const whole = (value) => count(Math.round(value * 10) / 10);
const quantiles = (title, field) => ({
  title,
  format: seconds,
  lines: QUANTILES.map(([name, style]) => ({ name, style, of: (point) => point[field]?.[name] })),
});

const CHARTS = [
  {
    title: "Queue",
    format: whole,
    lines: [
      { name: "running", style: "first", of: (point) => point.queue?.running },
      { name: "waiting, most", style: "second", of: (point) => point.queue?.max_waiting },
    ],
  },
  { title: "Oldest waiting", format: seconds, lines: [{ name: "age", style: "second", of: (point) => point.queue?.max_oldest_waiting_s }] },
  { title: "Throughput", format: rate, lines: [{ name: "ended", style: "second", of: (point) => point.per_second }] },
  { title: "Failure rate", format: percent, lines: [{ name: "failed", style: "second", of: (point) => point.failure_rate }] },
  quantiles("Waiting time", "waiting_s"),
  quantiles("Running time", "running_s"),
];

const plots = CHARTS.map((chart) => new Plot(chart));
let shown = null;

/** Create the elements of the charts, and redraw them when the theme changes. */
export function buildCharts(onRange) {
  byId("charts").replaceChildren(...plots.map((plot) => plot.element));
  const restyle = () => {
    for (const plot of plots) plot.restyle();
  };
  new MutationObserver(restyle).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
  byId("range").append(
    ...["hour", "day"].map((range) =>
      h(
        "label",
        {},
        h("input", { type: "radio", name: "range", value: range, checked: range === "hour", onchange: () => onRange(range) }),
        h("span", {}, range === "hour" ? "Hour" : "Day"),
      ),
    ),
  );
  byId("numbers").addEventListener("toggle", () => shown && showTable(shown));
}

/** Show the points of `/stats`; the last one is now, with the current state of the queue. */
export async function showCharts(stats) {
  const { waiting, running, oldest_waiting_s: oldest } = stats.now;
  const now = { running, max_waiting: waiting, max_oldest_waiting_s: oldest ?? 0 };
  const points = stats.points.map((point, i) => (i < stats.points.length - 1 ? point : { ...point, queue: now }));
  shown = { ...stats, points };
  const times = points.map((point) => Date.parse(point.at) / 1000);
  times[times.length - 1] = Math.max(times.at(-1), Date.now() / 1000);
  const over = `last ${stats.range}`;
  await Promise.all(
    plots.map((plot, i) =>
      plot.show(
        times,
        CHARTS[i].lines.map((line) => points.map((point) => line.of(point) ?? null)),
        over,
      ),
    ),
  );
  if (byId("numbers").open) showTable(shown);
}

function showTable({ points, range }) {
  const columns = CHARTS.flatMap((chart) => chart.lines.map((line) => ({ ...line, chart })));
  const head = h(
    "tr",
    {},
    h("th", { scope: "col" }, "From"),
    columns.map(({ chart, name }) =>
      h("th", { scope: "col", class: "number" }, chart.lines.length > 1 ? `${chart.title}, ${name}` : chart.title),
    ),
  );
  const rows = points.toReversed().map((point) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, clock(point.at, { seconds: false })),
      columns.map(({ chart, of }) => h("td", { class: "number" }, (of(point) ?? null) === null ? "–" : chart.format(of(point)))),
    ),
  );
  const place =
    byId("numbers").querySelector(".table-wrap") ??
    byId("numbers").appendChild(h("div", { class: "table-wrap", tabindex: 0, role: "region", "aria-label": "History as a table" }));
  const { scrollTop, scrollLeft } = place;
  place.replaceChildren(
    h("table", {}, h("caption", { class: "visually-hidden" }, `The last ${range}`), h("thead", {}, head), h("tbody", {}, rows)),
  );
  place.scrollTo(scrollLeft, scrollTop);
}
