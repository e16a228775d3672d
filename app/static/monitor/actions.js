/* The actions on tasks and on the queue. Each shows its outcome and resolves to whether it succeeded. */

import { request } from "../shared/api.js";
import { count } from "../shared/format.js";
import { ask, notify } from "./notices.js";

async function done(path, method, words) {
  try {
    await request(path, { method });
  } catch (error) {
    notify(sentence(error.message), { bad: true });
    return false;
  }
  if (words) notify(words);
  return true;
}

export function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? "" : "."}`;
}

export const retry = (task) => done(`/tasks/${task.task_id}/retry`, "POST", `${name(task)} is queued again.`);

export const cancel = (task) =>
  done(
    `/tasks/${task.task_id}/cancel`,
    "POST",
    task.status === "STARTED" ? `${name(task)} stops before its next operation.` : `${name(task)} is revoked.`,
  );

export async function remove(task) {
  const isSure = await ask("Delete this task?", `The record, the upload and the results of ${name(task)} are removed for good.`, "Delete", {
    danger: true,
  });
  return isSure && done(`/tasks/${task.task_id}`, "DELETE", `${name(task)} is deleted.`);
}

export const sendAgain = (task) => done(`/tasks/${task.task_id}/webhook`, "POST", "The webhook is sent again.");

export const pause = () => done("/queue/pause", "POST", "The queue is paused.");

export const resume = () => done("/queue/resume", "POST", "The queue is resumed.");

/** Retry all failed tasks of a filter, page by page; `filter` is the query that lists them. */
export async function retryAll(filter) {
  const query = new URLSearchParams({ ...Object.fromEntries(filter), status: "FAILURE" });
  let found;
  try {
    found = await counted(query);
  } catch (error) {
    return notify(sentence(error.message), { bad: true });
  }
  if (!found.count) return notify("There are no failed tasks among them.");
  const many = `${found.isAll ? "" : "more than "}${count(found.count)} failed ${found.count === 1 ? "task" : "tasks"}`;
  if (
    !(await ask(
      `Retry ${many}?`,
      "All failed tasks that match the filter are queued again, also those that a retry does not help: see Why tasks fail.",
      "Retry all",
    ))
  )
    return undefined;
  return retryPages(`/tasks/retry?${new URLSearchParams({ ...Object.fromEntries(query), limit: "200" })}`);
}

/** Retry the tasks of a group of failures; `since` is where the range of `GET /failures` begins. */
export async function retryGroup(group, since) {
  const many = `${count(group.count)} failed ${group.count === 1 ? "task" : "tasks"}`;
  if (!(await ask(`Retry ${many}?`, `All that failed with “${group.message}” are queued again.`, "Retry"))) return;
  await retryPages(`/tasks/retry?${groupQuery(group, since)}`);
}

/** Delete the tasks of a group of failures. */
export async function deleteGroup(group, since) {
  const many = `${count(group.count)} failed ${group.count === 1 ? "task" : "tasks"}`;
  const text = `The records and uploads of all that failed with “${group.message}” are removed for good.`;
  if (!(await ask(`Delete ${many}?`, text, "Delete", { danger: true }))) return;
  let path = `/tasks/delete?${groupQuery(group, since)}`;
  let deleted = 0;
  try {
    while (path) {
      const page = await request(path, { method: "POST" });
      deleted += page.deleted;
      path = page.next;
    }
  } catch (error) {
    notify(`${count(deleted)} deleted, then: ${error.message}.`, { bad: true });
    return;
  }
  notify(`${count(deleted)} ${deleted === 1 ? "task is" : "tasks are"} deleted.`);
}

const groupQuery = (group, since) => new URLSearchParams({ status: "FAILURE", failure: group.id, since, limit: "200" });

const MOST_COUNTED = 1000;

async function counted(query) {
  let path = `/tasks?${new URLSearchParams({ ...Object.fromEntries(query), limit: "200" })}`;
  let total = 0;
  while (path && total < MOST_COUNTED) {
    const page = await request(path);
    total += page.tasks.length;
    path = page.next;
  }
  return { count: total, isAll: !path };
}

async function retryPages(path) {
  let retried = 0;
  let gone = 0;
  try {
    while (path) {
      const page = await request(path, { method: "POST" });
      retried += page.retried;
      gone += page.upload_gone;
      path = page.next;
    }
  } catch (error) {
    return notify(`${tasks(retried)} queued again, then: ${error.message}.`, { bad: true });
  }
  return notify(`${tasks(retried)} queued again${gone ? `; of ${count(gone)} the upload is gone` : ""}.`);
}

const tasks = (number) => `${count(number)} ${number === 1 ? "task is" : "tasks are"}`;

const name = (task) => task.file?.name || "The task";
