/* A report, such as that of inspect, for people: colours as swatches, lists as rows, the whole as JSON below. */

import { h } from "./dom.js";
import { bytes } from "./format.js";
import { words } from "./studio-controls.js";

const COLOUR = /^#[0-9a-f]{6}$/;

export function facts(report) {
  return h("div", { class: "facts stack" },
    Array.isArray(report.palette) && palette(report.palette),
    h("dl", {}, rows(report)),
    h("details", {}, h("summary", {}, "As JSON"), h("pre", { class: "json", tabIndex: 0, role: "region", "aria-label": "The report as JSON" }, JSON.stringify(report, null, 2))));
}

function rows(record) {
  return Object.entries(record).filter(([name]) => name !== "palette").flatMap(([name, value]) =>
    (isPlain(value) && Object.keys(value).length ? rows(value) : [h("div", {}, h("dt", {}, words(name)), h("dd", {}, told(name, value)))]));
}

const isPlain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function told(name, value) {
  if (value === null || (isPlain(value) && !Object.keys(value).length)) return h("span", { class: "soft" }, "none");
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (name === "bytes") return bytes(value);
  if (typeof value === "string" && COLOUR.test(value)) return [swatch(value), h("code", {}, value)];
  return typeof value === "string" && value.length > 24 ? h("code", {}, value) : String(Array.isArray(value) ? value.join(", ") : value);
}

function swatch(colour) {
  const dot = h("span", { class: "swatch", "aria-hidden": "true" });
  dot.style.setProperty("background-color", colour);
  return dot;
}

/** Swatches as wide as the colours' shares. */
function palette(colours) {
  return h("ul", { class: "palette", "aria-label": "Palette" }, colours.map(({ color, share }) => {
    const part = h("li", {}, swatch(color), h("code", {}, color), h("span", { class: "soft small numbers" }, `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`));
    part.style.setProperty("flex-grow", String(Math.max(share, 0.08)));
    return part;
  }));
}
