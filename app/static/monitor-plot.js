/* One chart: a uPlot with our colours, a legend that says what is under the pointer, and words for those who do not see it. */

import { h } from "./dom.js";
import { clock } from "./monitor-times.js";

const HEIGHT_PX = 132;
const FONT = "11px ui-sans-serif, system-ui, sans-serif";

/** The library, fetched when the first chart is drawn: it is half of what the page weighs. */
let library = null;
export function loadLibrary() {
  library ??= new Promise((resolve, reject) => {
    document.head.append(h("link", { rel: "stylesheet", href: "/static/vendor/uPlot.min.css" }));
    document.head.append(h("script", { src: "/static/vendor/uPlot.iife.min.js", onload: () => resolve(globalThis.uPlot), onerror: reject }));
  });
  return library;
}

/** A colour of base.css as it is now: canvases know neither variables nor light-dark(). */
function colour(name) {
  const probe = h("i", {});
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

export class Plot {
  /** `lines` are {name, colour, dash}; `format` writes a value. */
  constructor({ title, lines, format }) {
    this.title = title;
    this.lines = lines;
    this.format = format;
    this.values = lines.map(() => h("b", { class: "numbers" }, "–"));
    this.place = h("div", { class: "canvas", "aria-hidden": "true" });
    this.none = h("p", { class: "none soft small", hidden: true }, "Nothing to show yet");
    this.summary = h("figcaption", { class: "visually-hidden" });
    const legend = lines.map((line, i) => h("li", { "data-line": line.style }, lines.length > 1 ? `${line.name} ` : "", this.values[i]));
    this.element = h("figure", { class: "chart", "data-chart": title },
      h("div", { class: "title", "aria-hidden": "true" }, h("h3", {}, title), h("ul", { class: "legend" }, legend)),
      this.place, this.none, this.summary);
    this.data = null;
  }

  /** Show points: `times` in Unix seconds, and for each line its values, null where there is none. */
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

  /** Take the colours of the theme that has just been chosen. */
  restyle() {
    this.plot?.redraw();
  }

  options(uPlot) {
    const axis = { stroke: () => colour("ink-soft"), font: FONT, grid: { stroke: () => colour("line"), width: 1 }, ticks: { show: false } };
    return {
      width: this.place.clientWidth, height: HEIGHT_PX, legend: { show: false }, padding: [8, 8, 0, 0],
      cursor: { y: false, points: { size: 7 }, drag: { setScale: false, x: false }, sync: { key: "monitor" } },
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.15 : 1] } },
      hooks: { setCursor: [(plot) => this.tell(plot.cursor.idx)] },
      axes: [
        { ...axis, size: 24, space: 70, values: (_, ticks) => ticks.map((at) => clock(at * 1000, { seconds: false }).split(" ").pop()) },
        { ...axis, size: 52, space: 34, values: (_, ticks) => ticks.map((value) => this.format(value)) },
      ],
      series: [{}, ...this.lines.map((line) => ({
        stroke: () => colour(line.style === "first" ? "ink-soft" : "accent"), width: 1.5, dash: line.style === "third" ? [4, 4] : undefined,
        points: { show: (plot, i) => isSparse(plot.data[i]), size: 5 }, paths: uPlot.paths.linear(),
      }))],
    };
  }

  /** Write into the legend what is at one point; without one, the last that is known. */
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

/** Whether a line has points with nothing beside them, which a line alone does not show. */
const isSparse = (values) => values.filter((value) => value !== null).length < 20;
