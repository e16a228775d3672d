/* A row of the table, which is updated in place. */

import { h, icon } from "../../shared/dom.js";
import { bytes, clock, duration } from "../../shared/format.js";
import { STATUSES, words } from "./filters.js";

const SHOWN_FORMATS = new Set(["jpeg", "png", "webp", "avif", "gif"]);
const THUMBNAIL_MAX_BYTES = 200_000;
const ENDS = new Set(["SUCCESS", "FAILURE", "REVOKED"]);

/** The result for the thumbnail, if there is one that is small enough to load. */
export function thumbnail(outputs) {
  return outputs.find((output) => SHOWN_FORMATS.has(output.format) && output.bytes <= THUMBNAIL_MAX_BYTES);
}

/** The operations of all variants. */
export function operations(record) {
  const plans = record.variants ? Object.values(record.variants) : [record];
  return [...new Set(plans.flatMap((plan) => plan.operations.map((step) => step.operation)))];
}

export class Row {
  /** `actions` are the actions that a row offers; none in a read-only session. */
  constructor(record, actions) {
    this.actions = actions;
    this.id = record.task_id;
    this.picture = h("td", { role: "cell", class: "thumb" });
    this.link = h("a", { href: `#task-${this.id}` });
    this.note = h("span", { class: "soft small" });
    this.badge = h("span", { class: "badge" });
    this.bar = h("i", {});
    this.track = h("span", { class: "bar", hidden: true }, this.bar);
    this.done = h("td", { role: "cell", class: "operations" });
    this.created = h("td", { role: "cell", class: "number created" });
    this.waited = h("td", { role: "cell", class: "number waited" });
    this.ran = h("td", { role: "cell", class: "number ran" });
    this.action = h("td", { role: "cell", class: "action" });
    this.element = h(
      "tr",
      { role: "row", "data-task": this.id },
      this.picture,
      h("td", { role: "cell", class: "name" }, this.link, this.note),
      h("td", { role: "cell", class: "state" }, this.badge, this.track),
      this.done,
      this.created,
      this.waited,
      this.ran,
      this.action,
    );
    this.show(record);
  }

  /** Update the row from an event; returns whether the record must be loaded again. */
  hear({ name, data }) {
    if (data.status && data.status !== this.record.status) {
      this.record = {
        ...this.record,
        status: data.status,
        progress: data.progress ?? (data.status === "SUCCESS" ? 1 : 0),
        error: data.error ?? null,
      };
    }
    if (data.progress !== undefined) this.record = { ...this.record, progress: data.progress };
    return name === "queued" || name === "started" || name === "ended";
  }

  show(record) {
    this.record = record;
    this.draw();
  }

  draw() {
    const { record } = this;
    put(this.link, record.file.name || record.file.url || "unnamed");
    put(this.note, this.noteText());
    put(this.badge, STATUSES[record.status]);
    this.badge.dataset.status = record.status;
    this.track.hidden = record.status !== "STARTED";
    this.bar.style.setProperty("--share", record.progress);
    put(this.done, operations(record).map(words).join(", ") || "re-encode");
    put(this.created, clock(record.created_at));
    put(this.waited, record.status === "PENDING" ? "" : duration(record.waited_s));
    put(this.ran, ENDS.has(record.status) && record.ran_s !== null ? duration(record.ran_s) : "");
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
    return `${owner}${size}${output.format.toUpperCase()} ${bytes(output.bytes)}${record.outputs.length > 1 ? ` and ${record.outputs.length - 1} more` : ""}`;
  }

  drawPicture() {
    const output = this.record.status === "SUCCESS" ? thumbnail(this.record.outputs) : undefined;
    const key = output?.sha256 ?? "";
    if (this.pictureKey === key) return;
    this.pictureKey = key;
    this.picture.replaceChildren(
      output
        ? h("img", { src: `/${output.path}`, alt: "", width: 40, height: 40, loading: "lazy", decoding: "async" })
        : h("span", { class: "blank" }, icon("picture")),
    );
  }

  drawAction() {
    const which = this.record.status === "SUCCESS" ? null : ENDS.has(this.record.status) ? "retry" : "cancel";
    const key = this.actions && which;
    if (this.actionKey === key) return;
    const hadFocus = this.action.contains(document.activeElement);
    this.actionKey = key;
    this.action.replaceChildren(...(key ? [this.button(which)] : []));
    if (hadFocus) (this.action.querySelector("button") ?? this.link).focus();
  }

  button(which) {
    const [verb, symbol] = which === "retry" ? ["Retry", "retry"] : ["Cancel", "stop"];
    const label = `${verb} ${this.record.file.name || this.id}`;
    return h(
      "button",
      { class: "button quiet small", type: "button", "aria-label": label, onclick: () => this.actions[which](this.record) },
      icon(symbol),
      h("span", {}, verb),
    );
  }
}

function put(place, text) {
  if (place.textContent !== text) place.textContent = text;
}
