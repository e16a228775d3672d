/* The sections of a task's record. */

import { copyText, h, icon } from "../../shared/dom.js";
import { clock, count, duration, exactClock } from "../../shared/format.js";
import { errorCode, knownCatalog } from "../catalog.js";
import { notify } from "../notices.js";
import { words } from "../tasks/filters.js";
import { tags } from "../tasks/row.js";
import { requested } from "./recipe.js";

export function section(title, ...children) {
  return h("section", { class: "part" }, h("h3", {}, title), ...children);
}

/** The reason for a failure, what it means, and whether a retry helps. */
export function failure(task) {
  if (task.status !== "FAILURE") return null;
  const code = errorCode(task);
  return h(
    "div",
    { class: "notice bad" },
    h("p", {}, h("b", {}, task.error ?? "The reason is unknown.")),
    code && h("p", { class: "small" }, marked(withoutError(code.meaning, task.error)), code.retry_helps ? "" : " A retry will not help."),
    task.error_code && h("p", { class: "small mono" }, code ? h("a", { href: code.docs }, task.error_code) : task.error_code),
  );
}

/** The meaning without a first sentence that says the same as the error. */
function withoutError(meaning, error) {
  const first = `${error}. `.toLowerCase();
  return meaning.toLowerCase().startsWith(first) ? meaning.slice(first.length) : meaning;
}

/** Text with the parts in backticks as code. */
const marked = (text) => text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));

/** The facts of a task; `pick` filters the list by one. */
export function record(task, pick) {
  const { file } = task;
  const entries = [
    file.url && ["Fetched from", h("span", { class: "mono small" }, file.url)],
    ["Requested", requested(task, knownCatalog())],
    task.tags?.length && ["Tags", h("span", { class: "tags" }, tags(task, pick))],
    ["Created", time(task.created_at)],
    task.queued_at !== task.created_at && ["Queued", time(task.queued_at)],
    task.position && ["Position", count(task.position)],
    task.priority !== "normal" && ["Priority", task.priority],
    task.queue_group && ["Queue group", task.queue_group],
    task.expires_at && ["Start by", time(task.expires_at)],
    task.reused_from && ["Results of", h("a", { class: "mono", href: `/monitor#task-${task.reused_from}` }, task.reused_from)],
    task.batch_id && ["Batch", h("a", { class: "mono", href: `/monitor?batch=${task.batch_id}` }, task.batch_id)],
    ["Started", task.started_at ? time(task.started_at) : "–"],
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
