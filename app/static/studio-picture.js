/* A picture on the page, and how far its task is. */

import { file as fetched } from "./api.js";

/** The longer side of a thumbnail in pixels; it is kept in the history too, as a few kilobytes. */
const THUMB = 144;

const BUSY = ["sending", "waiting", "working"];

export class Picture extends EventTarget {
  /** `state` is one of ready, sending, waiting, working, done, failed (the task), refused (the upload), stopped, expired. */
  constructor({ file = null, name = file.name, thumb = null, entry = null }) {
    super();
    Object.assign(this, { file, name, thumb, entry });
    this.url = file ? URL.createObjectURL(file) : null;
    this.reset();
  }

  reset() {
    this.letGo();
    Object.assign(this, { state: "ready", share: 0, note: "", problem: null, record: null, outputs: [], chosen: 0 });
  }

  change(facts) {
    Object.assign(this, facts);
    this.dispatchEvent(new Event("change"));
  }

  get isBusy() {
    return BUSY.includes(this.state);
  }

  get output() {
    return this.outputs[this.chosen] ?? null;
  }

  /** Free the memory of the results. */
  letGo() {
    for (const { url } of this.outputs ?? []) if (url) URL.revokeObjectURL(url);
  }

  discard() {
    this.letGo();
    if (this.url) URL.revokeObjectURL(this.url);
  }
}

/** A result's path as a URL of this service. */
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

/** Fetch a result's bytes, once. */
export async function loaded(output) {
  if (!output.blob) {
    output.blob = await fetched(urlOf(output.path));
    output.url = URL.createObjectURL(output.blob);
  }
  return output;
}

/** Return a small JPEG of a picture as a data URL, or null where the browser cannot read its format. */
export async function thumbnail(file) {
  try {
    const whole = await createImageBitmap(file);
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
    return canvas.toDataURL("image/jpeg", 0.8);
  } catch {
    return null;
  }
}

/** Data URLs are not allowed as pictures here; the same as a blob. */
export function thumbUrl(dataUrl) {
  const bytes = Uint8Array.from(atob(dataUrl.split(",")[1]), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
}
