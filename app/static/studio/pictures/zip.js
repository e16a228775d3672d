/* All results in one ZIP file. */

import { h } from "../../shared/dom.js";
import { loaded } from "./picture.js";

/** The names in a ZIP file: {name} of the upload, {variant}, {n} its number, {ext} the extension. */
export const TEMPLATE = "{name}{variant}.{ext}";

/** Return the name of a result; `number` counts from 1. */
export function nameOf(template, picture, output, number) {
  const values = {
    name: picture.name.replace(/\.[^.]*$/, ""),
    variant: output.variant ? `-${output.variant}` : "",
    n: String(number),
    ext: output.name.split(".").at(-1),
  };
  const name = template.replace(/\{(\w+)\}/g, (whole, field) => values[field] ?? whole).replace(/[\\/:*?"<>|]/g, "_");
  return name.trim() || output.name;
}

/** Return names, each once: duplicates get a number before their extension. */
export function distinct(names) {
  const taken = new Set();
  return names.map((name) => {
    const [, stem, extension] = name.match(/^(.*?)(\.[^.]*)?$/s);
    let free = name;
    for (let number = 2; taken.has(free); number += 1) free = `${stem} (${number})${extension ?? ""}`;
    taken.add(free);
    return free;
  });
}

/** Save the results of pictures as one file; resolves to their number. `onProgress` gets how many are loaded. */
export async function saveZip(pictures, template, onProgress) {
  const { makeZip } = await import("../../vendor/client-zip.js");
  const all = pictures.flatMap((picture, index) => picture.outputs.map((output) => ({ picture, output, number: index + 1 })));
  const names = distinct(all.map(({ picture, output, number }) => nameOf(template, picture, output, number)));
  async function* files() {
    for (const [index, { output }] of all.entries()) {
      onProgress(index + 1, all.length);
      yield { name: names[index], input: (await loaded(output)).blob };
    }
  }
  const blob = await new Response(makeZip(files())).blob();
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: "darkroom.zip", hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  return all.length;
}
