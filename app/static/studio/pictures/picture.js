/* A picture and the state of its task. */

import { file as fetched } from "../../shared/api.js";
import { h } from "../../shared/dom.js";
import { bytes, words } from "../../shared/format.js";

/** The longer side of a thumbnail in pixels; the history stores it with a few kilobytes. */
const THUMB = 144;

const REVOKE_MS = 10_000;

const BUSY = ["held", "sending", "waiting", "working"];

export class Picture extends EventTarget {
  state = "ready";
  /** @type {any[]} */
  outputs = [];
  chosen = 0;

  /** The id of a task whose upload is this file, so that it need not be sent again; null if there is none. */
  source = null;
  _isDeleted = false;

  /** Whether it is a file that the service does not read at all. */
  isForeign = false;

  /** Whether the browser does not support its format. */
  isUnshowable = false;

  /** The recipe of the task: {fields, overlay, summary}, or null. @type {any} */
  recipe = null;

  /** `state` is one of ready, held (until the service has room), sending, waiting, working, done, failed (the task), refused (the upload), stopped, expired. */
  constructor({
    file = null,
    address = null,
    name = file.name,
    thumb = null,
    before = null,
    id = crypto.randomUUID?.() ?? String(Math.random()),
    at = Date.now(),
  }) {
    super();
    Object.assign(this, { file, address, name, thumb, id, at, width: null, height: null });
    this.url = (file ?? before) ? URL.createObjectURL(file ?? before) : null;
    this.reset();
  }

  /** The service has this file with a task. */
  isSentWith(taskId) {
    if (!this._isDeleted) this.source = taskId;
  }

  /** It has it no longer: it has expired, or (`isDeleted`) it is not kept after a task. */
  forget(isDeleted) {
    this.source = null;
    this._isDeleted = isDeleted;
  }

  reset() {
    this.letGo();
    Object.assign(this, { state: "ready", share: 0, note: "", problem: null, record: null, outputs: [], chosen: 0, other: -1 });
  }

  change(facts) {
    Object.assign(this, facts);
    this.dispatchEvent(new Event("change"));
  }

  get isBusy() {
    return BUSY.includes(this.state);
  }

  /** Whether the result, if any, is what a recipe ({fields, overlay}) makes of this picture. */
  isMadeBy(recipe) {
    return this.state === "done" && this.recipe !== null && isSame(this.recipe, recipe);
  }

  get output() {
    return this.outputs[this.chosen] ?? null;
  }

  /** Free the memory of the results. */
  letGo() {
    for (const { url } of this.outputs ?? []) if (url) revokeLater(url);
  }

  discard() {
    this.letGo();
    if (this.url) revokeLater(this.url);
  }
}

/** Free the memory of a picture, when no element loads it any more. */
export function revokeLater(url) {
  setTimeout(() => URL.revokeObjectURL(url), REVOKE_MS);
}

function isSame(one, other) {
  const keyOf = ({ fields, overlay }) => JSON.stringify([fields, overlay && [overlay.name, overlay.size, overlay.lastModified]]);
  return keyOf(one) === keyOf(other);
}

/** The URL of a result. */
export function urlOf(path) {
  return `/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Describe the results of a task's record: {variant, path, name, format, width, height, bytes}. */
export function outputsOf({ result, outputs }) {
  return outputs.map((output) => {
    const path = typeof result === "string" ? result : result[output.variant];
    return { ...output, path, name: path.split("/").at(-1) };
  });
}

/** Load the bytes of a result once. */
export async function loaded(output) {
  if (!output.blob) {
    output.blob = await fetched(urlOf(output.path));
    output.url = URL.createObjectURL(output.blob);
  }
  return output;
}

/** Return {thumb, width, height}: a small JPEG as a data URL, and the size; or {isUnshowable} if the browser does not support the format. */
export async function thumbnail(file) {
  try {
    const whole = await createImageBitmap(file);
    const { width, height } = whole;
    const scale = Math.min(1, THUMB / Math.max(whole.width, whole.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(whole.width * scale));
    canvas.height = Math.max(1, Math.round(whole.height * scale));
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#8884";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(whole, 0, 0, canvas.width, canvas.height);
    whole.close();
    return { thumb: canvas.toDataURL("image/jpeg", 0.8), width, height };
  } catch {
    return { thumb: null, width: null, height: null, isUnshowable: true };
  }
}

/** Convert a data URL to a blob URL, because the CSP does not allow data URLs. */
export function thumbUrl(dataUrl) {
  const bytes = Uint8Array.from(atob(dataUrl.split(",")[1]), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
}

/* A JSON report such as that of inspect: colors as swatches, lists as rows, and the whole as JSON. */

const COLOUR = /^#[0-9a-f]{6}$/;

export function facts(report) {
  return h(
    "div",
    { class: "facts stack" },
    Array.isArray(report.palette) && palette(report.palette),
    h("dl", {}, rows(report)),
    h(
      "details",
      {},
      h("summary", {}, "As JSON"),
      h("pre", { class: "json", tabIndex: 0, role: "region", "aria-label": "The report as JSON" }, JSON.stringify(report, null, 2)),
    ),
  );
}

function rows(record) {
  return Object.entries(record)
    .filter(([name]) => name !== "palette")
    .flatMap(([name, value]) =>
      isPlain(value) && Object.keys(value).length ? rows(value) : [h("div", {}, h("dt", {}, words(name)), h("dd", {}, shown(name, value)))],
    );
}

const isPlain = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

function shown(name, value) {
  if (value === null || (isPlain(value) && !Object.keys(value).length)) return h("span", { class: "soft" }, "none");
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (name === "bytes") return bytes(value);
  if (typeof value === "string" && COLOUR.test(value)) return [swatch(value), h("code", {}, value)];
  return typeof value === "string" && value.length > 24 ? h("code", {}, value) : String(Array.isArray(value) ? value.join(", ") : value);
}

function swatch(color) {
  const dot = h("span", { class: "swatch", "aria-hidden": "true" });
  dot.style.setProperty("background-color", color);
  return dot;
}

/** Swatches whose widths are the shares of the colors. */
function palette(colors) {
  return h(
    "ul",
    { class: "palette", "aria-label": "Palette" },
    colors.map(({ color, share }) => {
      const part = h(
        "li",
        {},
        swatch(color),
        h("code", {}, color),
        h("span", { class: "soft small numbers" }, `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`),
      );
      part.style.setProperty("flex-grow", String(Math.max(share, 0.08)));
      return part;
    }),
  );
}
