/* The same task once more: as a curl command, and with its upload and recipe in the studio. */

import { copyText, h, icon } from "../../shared/dom.js";
import { curl, expected } from "../../studio/recipe/snippets.js";
import { encode, formFields, fromJSON, takesOverlay } from "../../studio/recipe/state.js";
import { knownCatalog } from "../catalog.js";
import { notify } from "../notices.js";
import { recipe } from "./recipe.js";

/** Return buttons to copy a task as a curl command and to open it in the studio. */
export function again(task, hasKeys) {
  const catalog = knownCatalog();
  if (!catalog || catalog.only_presets) return []; // such a service refuses operations
  const json = recipe(task, catalog);
  const value = known(json, catalog);
  return [
    h(
      "button",
      { class: "button small", type: "button", "data-key": "curl", onclick: () => copy(command(task, json, catalog, hasKeys)) },
      icon("copy"),
      "Copy as curl",
    ),
    value && h("a", { class: "button small", href: `/?task=${task.task_id}#r=${encode(value)}`, "data-key": "studio" }, "Open in studio"),
  ];
}

async function copy(text) {
  await copyText(text);
  notify("The command is copied.");
}

/** Return the recipe of a task, or null if the service no longer knows one of its operations or parameters. */
function known(json, catalog) {
  try {
    return fromJSON(json, catalog);
  } catch {
    return null;
  }
}

/** Return a shell command that creates the same task again. */
export function command(task, json, catalog, hasKeys) {
  const { name, url } = task.file;
  const file = name || "upload";
  const value = known(json, catalog);
  const fields = value ? formFields(value, catalog) : Object.entries(json).map(([field, each]) => [field, asText(each)]);
  const { variants } = json;
  return curl({
    origin: location.origin,
    names: [file],
    url,
    overlay: value && takesOverlay(value, catalog) ? "overlay.png" : null,
    fields: [...fields, ...otherFields(task)],
    ...(variants || task.status !== "SUCCESS" ? expected(json, file) : made(task)),
    ...(hasKeys ? { hasKey: true } : {}),
  });
}

const asText = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

/** The fields of a task beside its recipe. */
function otherFields(task) {
  return [
    task.priority !== "normal" && ["priority", task.priority],
    task.queue_group && ["queue_group", task.queue_group],
    task.tags?.length && ["tags", task.tags.join(",")],
    task.webhook && ["callback_url", task.webhook.url],
  ].filter(Boolean);
}

function made({ outputs: [output] }) {
  return { results: [output.path.split("/").pop()], isPicture: Boolean(output.width) };
}
