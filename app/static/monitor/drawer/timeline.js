/* The events of a task in order. */

import { h } from "../../shared/dom.js";
import { duration, exactClock } from "../../shared/format.js";
import { STATUSES, words } from "../tasks/filters.js";
import { phases } from "./phases.js";
import { section } from "./record.js";

/** Show the events of the timeline, or the times of the record if the events are no longer stored. */
export function timeline(task, events) {
  const told = events.length ? events : remembered(task);
  return section(
    "Timeline",
    phases(task),
    h(
      "ol",
      { class: "timeline" },
      told.map((event, i) => entry(event, told[i - 1])),
    ),
  );
}

function remembered(task) {
  return [
    { event: "queued", at: task.created_at, attempt: 0 },
    task.started_at && { event: "started", at: task.started_at, attempt: task.attempts },
    task.ended_at && { event: "ended", at: task.ended_at, attempt: task.attempts, status: task.status },
  ].filter(Boolean);
}

function entry(event, before) {
  const since = before ? (Date.parse(event.at) - Date.parse(before.at)) / 1000 : null;
  return h(
    "li",
    { "data-event": event.event, "data-status": event.status ?? false },
    h("time", { class: "mono soft", datetime: event.at }, exactClock(event.at)),
    h("span", {}, sentence(event)),
    h("span", { class: "soft small numbers" }, since === null ? "" : `+${duration(since)}`),
  );
}

function sentence(event) {
  switch (event.event) {
    case "queued":
      return event.attempt ? "Queued again" : "Queued";
    case "started":
      return event.attempt > 1 ? `Started, attempt ${event.attempt}` : "Started";
    case "operation":
      return `${words(event.operation)}${event.variant ? ` for ${event.variant}` : ""}`;
    case "output":
      return `Stored ${event.path?.split("/").pop() ?? "a result"}`;
    default:
      return STATUSES[event.status];
  }
}
