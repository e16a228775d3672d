/* The upload and the results of a task, side by side. */

import { h, icon } from "../../shared/dom.js";
import { bytes } from "../../shared/format.js";
import { section } from "./record.js";

/** Formats that every browser shows. */
const SHOWN = new Set(["jpeg", "png", "webp", "avif", "gif", "bmp", "ico"]);
const MOST_SHOWN_BYTES = 20_000_000;

/** Images by path: they stay while the drawer is drawn again, and one that is gone is asked for once. */
let images = new Map();

/** Show the pictures of a task; those in `shown` now are used again. */
export function pictures(task, shown) {
  const known = new Map([...images].filter(([, image]) => shown.contains(image)));
  images = new Map();
  const parts = [upload(task, known), ...(task.status === "SUCCESS" ? task.outputs.map((output) => result(output, known)) : [])];
  return section(task.outputs.length > 1 ? "Upload and results" : "Upload and result", h("div", { class: "pictures" }, parts));
}

function upload(task, known) {
  const { file } = task;
  const path = `/tasks/${task.task_id}/upload`;
  const name = file.name || "upload";
  return picture({ path, title: "Upload", name, alt: `The upload, ${name}`, details: details(file), file }, known);
}

function result(output, known) {
  const name = output.path.split("/").pop();
  const path = `/${output.path}?v=${output.sha256.slice(0, 8)}`;
  const title = output.variant ? `Result ${output.variant}` : "Result";
  return picture({ path, title, name, alt: `The result, ${name}`, details: details(output), file: output, hash: output.sha256 }, known);
}

const details = ({ width, height, frames, format, bytes: size }) =>
  [width && `${width} × ${height}`, frames > 1 && `${frames} frames`, format?.toUpperCase(), size && bytes(size)]
    .filter(Boolean)
    .join(" · ");

function picture({ path, title, name, alt, details: text, file, hash = null }, known) {
  return h(
    "figure",
    { class: "picture" },
    h("div", { class: "frame" }, image(path, alt, file, known)),
    h(
      "figcaption",
      {},
      h("p", { class: "soft small" }, title),
      h("a", { href: path, target: "_blank", rel: "noopener", "data-key": `open-${title}` }, name),
      h("p", { class: "soft small" }, text),
      hash && h("p", { class: "mono soft hash", title: `SHA-256 ${hash}` }, hash),
    ),
    h(
      "a",
      { class: "button quiet small", href: path, download: name, "aria-label": `Download ${name}`, "data-key": `download-${title}` },
      icon("download"),
    ),
  );
}

function image(path, alt, { format, bytes: size }, known) {
  if (known.has(path)) {
    images.set(path, known.get(path));
    return known.get(path);
  }
  const blank = h("span", { class: "blank" }, icon("picture"));
  if (!SHOWN.has(format) || size > MOST_SHOWN_BYTES) return blank;
  const shown = h("img", {
    src: path,
    alt,
    loading: "lazy",
    onerror: () => {
      images.set(path, blank);
      shown.replaceWith(blank);
    },
  });
  images.set(path, shown);
  return shown;
}
