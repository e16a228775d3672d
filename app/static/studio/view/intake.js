/* The input of pictures: by file dialog, drop (also of folders), paste or address. */

import { byId, h } from "../../shared/dom.js";

/** Other extensions of the formats that the service reads. */
const ALIASES = {
  jpg: "jpeg",
  jpe: "jpeg",
  jfif: "jpeg",
  tif: "tiff",
  heif: "heic",
  apng: "png",
  cur: "ico",
  j2k: "jp2",
  jpf: "jp2",
  jpx: "jp2",
};

/** Return whether a file may be a picture: by its media type, or by its extension where the system knows no type. */
export function isPicture({ name, type }, formats) {
  if (type) return type.startsWith("image/") && type !== "image/svg+xml";
  const extension = name.split(".").at(-1).toLowerCase();
  return formats.includes(ALIASES[extension] ?? extension);
}

/** Listen for files; `onFiles` is called with a list. Returns {choose}, which opens the file dialog. */
export function takeFiles(onFiles) {
  const input = h("input", {
    type: "file",
    multiple: true,
    hidden: true,
    id: "files",
    "aria-label": "Pictures",
    onchange: () => {
      onFiles([...input.files]);
      input.value = "";
    },
  });
  document.body.append(input);
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) onFiles(files);
  });
  watchDrops(onFiles);
  return { choose: () => input.click() };
}

function watchDrops(onFiles) {
  const veil = byId("dropping");
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0; // enter and leave are sent for each element under the pointer
  const show = (by) => {
    depth = Math.max(0, depth + by);
    veil.hidden = depth === 0;
  };
  document.addEventListener("dragenter", (event) => {
    if (hasFiles(event)) show(1);
  });
  document.addEventListener("dragleave", (event) => {
    if (hasFiles(event)) show(-1);
  });
  document.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  document.addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    onFiles(await droppedFiles(event.dataTransfer));
  });
}

/** Return the files of a drop, with those in folders. */
async function droppedFiles({ items, files }) {
  // The entries must be taken before anything is awaited.
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...files];
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const all = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 at a time
    if (!some.length) return all;
    for (const each of some) all.push(...(await filesOf(each)));
  }
}
