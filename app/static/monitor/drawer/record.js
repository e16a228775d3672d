/* The sections of a task's record. */

import { copyText, h, icon } from "../../shared/dom.js";
import { bytes, clock, count, duration, exactClock } from "../../shared/format.js";
import { notify } from "../notices.js";
import { words } from "../tasks/filters.js";
import { thumbnail } from "../tasks/row.js";

export function section(title, ...children) {
  return h("section", { class: "part" }, h("h3", {}, title), ...children);
}

/** The reason for a failure. */
export function failure(task) {
  if (task.status !== "FAILURE") return null;
  return h(
    "div",
    { class: "notice bad" },
    h("p", {}, h("b", {}, task.error ?? "The reason is unknown.")),
    task.error_code && h("p", { class: "small mono" }, task.error_code),
  );
}

export function outputs(task) {
  if (!task.outputs.length) return null;
  return section(task.outputs.length > 1 ? "Results" : "Result", h("ul", { class: "outputs" }, task.outputs.map(output)));
}

function output(found) {
  const name = found.path.split("/").pop();
  const size = [
    found.width && `${found.width} × ${found.height}`,
    found.frames > 1 && `${found.frames} frames`,
    found.format.toUpperCase(),
    bytes(found.bytes),
  ];
  return h(
    "li",
    {},
    thumbnail([found])
      ? h("img", { src: `/${found.path}`, alt: `The result, ${name}`, loading: "lazy" })
      : h("span", { class: "blank" }, icon("picture")),
    h(
      "div",
      {},
      h("a", { href: `/${found.path}`, target: "_blank", rel: "noopener" }, name),
      h("p", { class: "soft small" }, size.filter(Boolean).join(" · ")),
      h("p", { class: "mono soft hash" }, found.sha256),
    ),
    h(
      "a",
      {
        class: "button quiet small",
        href: `/${found.path}`,
        download: name,
        "aria-label": `Download ${name}`,
        "data-key": `download-${name}`,
      },
      icon("download"),
    ),
  );
}

export function record(task) {
  const { file } = task;
  const picture = [file.width && `${file.width} × ${file.height}`, file.format?.toUpperCase(), file.bytes && bytes(file.bytes)]
    .filter(Boolean)
    .join(" · ");
  const entries = [
    ["Picture", picture || "not known yet"],
    file.url && ["Fetched from", h("span", { class: "mono small" }, file.url)],
    ["Requested", plans(task)],
    ["Created", time(task.created_at)],
    task.queued_at !== task.created_at && ["Queued", time(task.queued_at)],
    task.position && ["Position", count(task.position)],
    task.priority !== "normal" && ["Priority", task.priority],
    task.queue_group && ["Queue group", task.queue_group],
    task.expires_at && ["Start by", time(task.expires_at)],
    task.reused_from && ["Results of", h("a", { class: "mono", href: `/monitor#task-${task.reused_from}` }, task.reused_from)],
    task.batch_id && ["Batch", h("a", { class: "mono", href: `/monitor?batch=${task.batch_id}` }, task.batch_id)],
    ["Begun", task.started_at ? time(task.started_at) : "–"],
    ["Ended", task.ended_at ? time(task.ended_at) : "–"],
    ["Waited", duration(task.waited_s)],
    ["Ran", duration(task.ran_s)],
    ["Attempts", count(task.attempts)],
    task.worker && ["Worker", h("span", { class: "mono" }, task.worker)],
    task.owner && ["Key", task.owner],
    task.request_id && ["Request", h("span", { class: "mono" }, task.request_id)],
    [
      "Id",
      h(
        "button",
        {
          class: "button quiet small mono id",
          type: "button",
          "data-key": "copy",
          "aria-label": "Copy the id",
          onclick: () => copy(task.task_id),
        },
        task.task_id,
        icon("copy"),
      ),
    ],
    ["As JSON", h("a", { href: `/tasks/${task.task_id}` }, "the whole record")],
  ];
  return section(
    "Record",
    h(
      "dl",
      { class: "facts" },
      entries.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
  );
}

const time = (at) => h("time", { datetime: at, title: new Date(at).toString() }, exactClock(at));

async function copy(text) {
  await copyText(text);
  notify("The id is copied.");
}

function plans(task) {
  const all = task.variants ? Object.entries(task.variants) : [["", task]];
  return h(
    "ul",
    { class: "plans" },
    all.map(([name, plan]) => h("li", {}, name && h("b", {}, name), h("ol", {}, plan.operations.map(step)), given(plan.output))),
  );
}

function step({ operation, ...parameters }) {
  return h("li", {}, words(operation), " ", given(parameters));
}

/** Parameters in one line, without those that are not set. */
function given(parameters) {
  const known = Object.entries(parameters).filter(([, value]) => value !== null && value !== false);
  return h(
    "span",
    { class: "soft small" },
    known.map(([name, value]) => `${words(name)} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" · "),
  );
}

/** The webhook and its delivery attempts. */
export function deliveries(task) {
  if (!task.webhook) return null;
  const { url, state, attempts = [], next_attempt_at: next } = task.webhook;
  const rows = attempts
    .toReversed()
    .map((attempt) =>
      h(
        "tr",
        {},
        h("td", {}, clock(attempt.at)),
        h("td", {}, attempt.error ?? `answered ${attempt.status}`),
        h("td", { class: "number" }, duration(attempt.duration_ms / 1000)),
      ),
    );
  return section(
    "Webhook",
    h("p", { class: "mono small" }, url),
    h("p", { class: "soft small" }, state ? `${words(state)}${next ? `, next attempt ${clock(next)}` : ""}` : "sent when the task ends"),
    rows.length > 0 &&
      h(
        "table",
        {},
        h("caption", { class: "visually-hidden" }, "Attempts to deliver it"),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ["At", "Outcome", "Took"].map((name) => h("th", { scope: "col", class: name === "Took" && "number" }, name)),
          ),
        ),
        h("tbody", {}, rows),
      ),
  );
}
