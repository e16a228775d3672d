/* What has happened to a task, in its order. */

import { h } from "./dom.js";
import { duration } from "./format.js";
import { STATUSES, words } from "./monitor-filters.js";
import { section } from "./monitor-record.js";
import { exactClock } from "./monitor-times.js";

/** Show the events of the log; where they have left it, what the record itself says. */
export function timeline(task, events) {
  const told = events.length ? events : remembered(task);
  return section("Timeline", h("ol", { class: "timeline" }, told.map((event, i) => entry(event, told[i - 1]))));
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
  return h("li", { "data-event": event.event, "data-status": event.status ?? false },
    h("time", { class: "mono soft", datetime: event.at }, exactClock(event.at)),
    h("span", {}, sentence(event)),
    h("span", { class: "soft small numbers" }, since === null ? "" : `+${duration(since)}`));
}

function sentence(event) {
  switch (event.event) {
    case "queued": return event.attempt ? "Queued again" : "Queued";
    case "started": return event.attempt > 1 ? `Begun, attempt ${event.attempt}` : "Begun";
    case "operation": return `${words(event.operation)}${event.variant ? ` for ${event.variant}` : ""}`;
    case "output": return `Stored ${event.path?.split("/").pop() ?? "a result"}`;
    default: return STATUSES[event.status];
  }
}
