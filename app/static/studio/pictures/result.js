/* The result of a picture: sizes, times, the report; with buttons to save it and to copy commands. */

import { apiKey, request } from "../../shared/api.js";
import { announce, copyText, h, icon } from "../../shared/dom.js";
import { bytes, duration } from "../../shared/format.js";
import { facts, loaded, urlOf } from "./picture.js";
import { psnr, reference } from "./quality.js";

const COPIED_MS = 1800;

/** Build the view of a finished picture; `change` gets what is chosen: {chosen, other}, indexes of the results shown. */
export function resultOf(picture, change) {
  const { output } = picture;
  const buttons = [
    h("button", { type: "button", class: "button primary", onclick: () => save(picture) }, icon("download"), "Download"),
    h(
      "button",
      { type: "button", class: "button", onclick: (event) => copyLink(event.currentTarget, picture.taskId, output) },
      icon("copy"),
      "Copy a link",
    ),
    h("a", { class: "button", href: `/monitor#task-${picture.taskId}` }, "Open in the monitor"),
  ];
  return h(
    "div",
    { class: "result stack" },
    picture.outputs.length > 1 && [variants(picture, change), table(picture, change)],
    h(
      "dl",
      { class: "measures" },
      measures(picture.record, output).map(([name, ...values]) => h("div", {}, h("dt", {}, name), h("dd", { class: "numbers" }, values))),
    ),
    h("div", { class: "row" }, buttons),
    output.report && facts(output.report),
  );
}

function measures({ file, waited_s: waited, ran_s: ran }, output) {
  const isReport = output.format === "json";
  const size = ({ width, height }) => (width ? `${width} × ${height}` : "unknown");
  const arrow = h("span", { class: "arrow" }, "→");
  return [
    ["Pixels", size(file), ...(isReport ? [] : [arrow, size(output)])],
    ["Bytes", bytes(file.bytes), arrow.cloneNode(true), bytes(output.bytes), ...(isReport ? [] : [saving(file.bytes, output.bytes)])],
    ["Waited", duration(waited)],
    ["Worked", duration(ran)],
  ];
}

/** The saving in percent, never rounded to all or nothing that it is not. */
export function percentSaved(before, after) {
  const percent = (after / before - 1) * 100;
  if (after === before) return "±0 %";
  const digits = Math.abs(percent) < 1 || (percent < -99 && after > 0) ? 1 : 0;
  const least = 10 ** -digits;
  const bound = percent < 0 ? Math.max(Math.min(percent, -least), after > 0 ? least - 100 : -100) : Math.max(percent, least);
  return `${percent < 0 ? "−" : "+"}${Math.abs(bound).toFixed(digits)} %`;
}

function saving(before, after) {
  return h("span", { class: after <= before ? "saving" : "growth" }, percentSaved(before, after));
}

/** The results side by side: one click puts one on the left of the divider, or on the right. */
function table(picture, change) {
  const { file } = picture.record;
  const side = (label, isOn, facts) =>
    h("button", { type: "button", class: "button quiet small", "aria-pressed": String(isOn), onclick: () => change(facts) }, label);
  const row = (name, size, output, buttons) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      h("td", { class: "numbers" }, size.width ? `${size.width} × ${size.height}` : ""),
      h("td", { class: "numbers" }, bytes(size.bytes)),
      h("td", { class: "numbers" }, output ? saving(file.bytes, output.bytes) : ""),
      h("td", { class: "numbers" }, output ? quality(picture, output) : ""),
      h("td", {}, buttons),
    );
  const compared = h(
    "table",
    { class: "compared" },
    h("caption", { class: "visually-hidden" }, "The results"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["Result", "Pixels", "Size", "Saved", "PSNR", "Side"].map((name) => h("th", { scope: "col" }, name)),
      ),
    ),
    h(
      "tbody",
      {},
      row("Original", file, null, side("left", picture.other < 0, { other: -1 })),
      picture.outputs.map((output, index) =>
        row(output.variant || output.name, output, output, [
          side("left", picture.other === index, { other: index }),
          side("right", picture.chosen === index, { chosen: index }),
        ]),
      ),
    ),
  );
  return h("div", { class: "side-by-side", tabIndex: 0, role: "region", "aria-label": "Side by side" }, compared);
}

/** The PSNR against the lossless result of the same task, as soon as it is known. */
function quality(picture, output) {
  const original = reference(picture.outputs);
  const cell = h("span", {}, output === original ? "lossless" : "");
  if (original && output !== original) {
    output.psnr ??= Promise.all([loaded(output), loaded(original)]).then(([one, other]) => psnr(one.blob, other.blob));
    output.psnr.then((value) => {
      cell.textContent = value === null ? "" : Number.isFinite(value) ? `${value.toFixed(1)} dB` : "lossless";
    });
  }
  return cell;
}

function variants(picture, change) {
  const select = h(
    "select",
    { class: "input", id: "variant", onchange: () => change({ chosen: Number(select.value) }) },
    picture.outputs.map(({ variant, name }, index) =>
      h("option", { value: String(index), selected: index === picture.chosen }, variant || name),
    ),
  );
  return h("div", { class: "field" }, h("label", { for: "variant" }, "Result"), select);
}

/** Save the results of a picture, one after the other. */
export async function save(picture) {
  for (const output of picture.outputs) {
    const { url, name } = await loaded(output);
    const link = h("a", { href: url, download: name, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
  }
}

/** Copy the address of a result; with a key, one that is signed and needs none for an hour. */
async function copyLink(button, id, output) {
  const url = await signed(id, output);
  await copyText(url);
  announce("The link is copied");
  button.lastChild.textContent = "Copied";
  setTimeout(() => {
    button.lastChild.textContent = "Copy a link";
  }, COPIED_MS);
}

async function signed(id, { path, variant }) {
  if (!apiKey.get()) return new URL(urlOf(path), location.href).href;
  const { url } = await request(`/tasks/${id}/link`, { method: "POST" });
  return new URL(typeof url === "string" ? url : url[variant], location.href).href;
}
