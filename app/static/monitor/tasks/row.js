/* A row of the table, which is updated in place. */

import { h, icon } from "../../shared/dom.js";
import { bytes, clock, duration, printable } from "../../shared/format.js";
import { canRetryHelp } from "../catalog.js";
import { STATUSES, words } from "./filters.js";

const ENDS = new Set(["SUCCESS", "FAILURE", "REVOKED"]);
/** Formats of which there are thumbnails. */
const SHRUNK = new Set(["jpeg", "png", "webp", "avif", "gif"]);
const MOST_TAGS = 3;

/** The first result of which the service makes a thumbnail. */
function pictureOf({ status, outputs }) {
  return status === "SUCCESS" ? outputs.find((output) => SHRUNK.has(output.format)) : undefined;
}

/** The path of a task's thumbnail; another one when a retry changes the result. */
const thumbnail = ({ task_id: id }, { sha256 }) => `/tasks/${id}/thumbnail?v=${sha256.slice(0, 8)}`;

/** The operations of all variants. */
export function operations(record) {
  const plans = record.variants ? Object.values(record.variants) : [record];
  return [...new Set(plans.flatMap((plan) => plan.operations.map((step) => step.operation)))];
}

/** Buttons for the tags of a task; `pick` filters by one. */
export function tags(task, pick, most = Infinity) {
  const all = task.tags ?? [];
  return [
    ...all
      .slice(0, most)
      .map((tag) =>
        h(
          "button",
          { class: "tag", type: "button", "aria-label": `Show the tasks with the tag ${tag}`, onclick: () => pick("tag", tag) },
          tag,
        ),
      ),
    ...(all.length > most ? [h("span", { class: "soft small" }, `+${all.length - most}`)] : []),
  ];
}

export class Row {
  /** `on` has the `actions` that a row offers (null in a read-only session), `pick` for a filter, and `select` for its box. */
  constructor(record, on) {
    this.on = on;
    this.id = record.task_id;
    this.picture = cell("thumb");
    this.link = h("a", { href: `#task-${this.id}` });
    this.note = h("span", { class: "soft note" });
    this.tags = h("span", { class: "tags" });
    this.badge = h("span", { class: "badge" });
    this.bar = h("i", {});
    this.track = h("span", { class: "bar", hidden: true }, this.bar);
    this.done = cell("operations");
    this.time = cell("number time");
    this.waited = cell("number waited");
    this.ran = cell("number ran");
    this.size = cell("number size");
    this.action = cell("action");
    this.box = h("input", { type: "checkbox", onclick: (event) => on.select(this.id, this.box.checked, event.shiftKey) });
    this.element = h(
      "tr",
      { role: "row", "data-task": this.id },
      on.actions && cell("check", h("label", {}, this.box)),
      this.picture,
      cell("name", h("div", { class: "line" }, this.link, this.note, this.tags)),
      cell("state", h("div", { class: "line" }, this.badge, this.track)),
      ...[this.done, this.time, this.waited, this.ran, this.size, this.action],
    );
    this.show(record);
  }

  /** Update the row from an event; returns whether the record must be loaded again. */
  handle({ name, data }) {
    if (data.status && data.status !== this.record.status) {
      this.record = {
        ...this.record,
        status: data.status,
        progress: data.progress ?? (data.status === "SUCCESS" ? 1 : 0),
        error: data.error ?? null,
        error_code: null,
      };
    }
    if (data.progress !== undefined) this.record = { ...this.record, progress: data.progress };
    return name === "queued" || name === "started" || name === "ended";
  }

  show(record) {
    this.record = record;
    this.draw();
  }

  select(isSelected) {
    this.box.checked = isSelected;
    this.element.toggleAttribute("data-selected", isSelected);
  }

  draw() {
    const { record } = this;
    const name = printable(record.file.name || record.file.url || "unnamed");
    put(this.link, name);
    this.box.setAttribute("aria-label", `Select ${name}`);
    put(this.note, this.noteText());
    put(this.badge, STATUSES[record.status]);
    this.badge.dataset.status = record.status;
    this.track.hidden = record.status !== "STARTED";
    this.bar.style.setProperty("--share", record.progress);
    put(this.done, operations(record).map(words).join(", ") || "re-encode");
    const at = record[this.on.timeField()];
    put(this.time, at ? clock(at) : "");
    put(this.waited, record.status === "PENDING" ? "" : duration(record.waited_s));
    put(this.ran, ENDS.has(record.status) && record.ran_s !== null ? duration(record.ran_s) : "");
    const stored = record.outputs.reduce((sum, output) => sum + output.bytes, 0);
    put(this.size, record.status === "SUCCESS" && stored ? bytes(stored) : "");
    this.drawTags();
    this.drawPicture();
    this.drawAction();
  }

  noteText() {
    const { record } = this;
    if (record.status === "FAILURE" && record.error) return record.error;
    const [output] = record.outputs;
    const flow = record.owner ?? record.queue_group;
    const owner = flow ? `${flow} · ` : "";
    if (record.status !== "SUCCESS" || !output) return `${owner}${this.id.slice(0, 8)}`;
    const size = output.width ? `${output.width}×${output.height} ` : "";
    return `${owner}${size}${output.format.toUpperCase()}${record.outputs.length > 1 ? ` and ${record.outputs.length - 1} more` : ""}`;
  }

  drawTags() {
    const key = (this.record.tags ?? []).join(" ");
    if (this.tagsKey === key) return;
    this.tagsKey = key;
    this.tags.replaceChildren(...tags(this.record, this.on.pick, MOST_TAGS));
  }

  drawPicture() {
    const output = pictureOf(this.record);
    const key = output?.sha256 ?? "";
    if (this.pictureKey === key) return;
    this.pictureKey = key;
    const blank = h("span", { class: "blank" }, icon("picture"));
    this.picture.replaceChildren(
      output
        ? h("img", {
            src: thumbnail(this.record, output),
            alt: "",
            width: 28,
            height: 28,
            loading: "lazy",
            decoding: "async",
            onerror: (event) => event.target.replaceWith(blank),
          })
        : blank,
    );
  }

  drawAction() {
    const { status } = this.record;
    const which = status === "SUCCESS" ? null : ENDS.has(status) ? (canRetryHelp(this.record) ? "retry" : "retry anyway") : "cancel";
    const key = this.on.actions && which;
    if (this.actionKey === key) return;
    const hadFocus = this.action.contains(document.activeElement);
    this.actionKey = key;
    this.action.replaceChildren(...(key ? [this.button(key)] : []));
    if (hadFocus) (this.action.querySelector("button") ?? this.link).focus();
  }

  button(key) {
    const [which, verb, symbol] = key === "cancel" ? ["cancel", "Cancel", "stop"] : ["retry", "Retry", "retry"];
    const isVain = key === "retry anyway";
    const label = `${verb} ${printable(this.record.file.name || this.id)}`;
    return h(
      "button",
      {
        class: isVain ? "button quiet small" : "button small",
        type: "button",
        "aria-label": label,
        title: isVain && "A retry will not help",
        onclick: () => this.on.actions[which](this.record),
      },
      icon(symbol),
      !isVain && h("span", {}, verb),
    );
  }
}

const cell = (name, ...children) => h("td", { role: "cell", class: name }, ...children);

function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
