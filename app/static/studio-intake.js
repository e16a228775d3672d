/* Pictures on their way in: chosen, dropped anywhere on the page, or pasted. */

import { byId, h } from "./dom.js";

/** Listen for pictures; `onFiles` hears a list. Returns {choose}, which opens the browser's own window of files. */
export function takeFiles(onFiles) {
  const input = h("input", { type: "file", multiple: true, hidden: true, id: "files", "aria-label": "Pictures", onchange: () => { onFiles([...input.files]); input.value = ""; } });
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
  let depth = 0; // enter and leave come for every element that is crossed
  const show = (by) => {
    depth = Math.max(0, depth + by);
    veil.hidden = depth === 0;
  };
  document.addEventListener("dragenter", (event) => { if (hasFiles(event)) show(1); });
  document.addEventListener("dragleave", (event) => { if (hasFiles(event)) show(-1); });
  document.addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    onFiles([...event.dataTransfer.files]);
  });
}
