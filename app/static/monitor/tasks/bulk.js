/* An action on many tasks: a request for each, a few at a time, and one notice of the outcome. */

import { request } from "../../shared/api.js";
import { count } from "../../shared/format.js";
import { sentence } from "../actions.js";
import { ask, notify } from "../notices.js";

const AT_ONCE = 6;

const ENDS = ["SUCCESS", "FAILURE", "REVOKED"];

const VERBS = {
  retry: {
    can: ({ status }) => status === "FAILURE" || status === "REVOKED",
    send: (id) => request(`/tasks/${id}/retry`, { method: "POST" }),
    done: "queued again",
  },
  cancel: {
    can: ({ status }) => !ENDS.includes(status),
    send: (id) => request(`/tasks/${id}/cancel`, { method: "POST" }),
    done: "canceled",
  },
  remove: {
    can: ({ status }) => status !== "STARTED",
    send: (id) => request(`/tasks/${id}`, { method: "DELETE" }),
    done: "deleted",
  },
};

/** Whether the action is possible on a task in its state. */
export const canBe = (verb, record) => VERBS[verb].can(record);

/** Act on those of the records that can; returns those for which it succeeded, or null if the user does not agree. */
export async function actOnAll(verb, records) {
  const { can, send, done } = VERBS[verb];
  const able = records.filter(can);
  if (verb === "remove" && !(await isSure(able.length))) return null;
  const changed = [];
  let reason = "";
  await inTurns(able, async (record) => {
    try {
      await send(record.task_id);
      changed.push(record);
    } catch (error) {
      reason ||= error.message;
    }
  });
  const failed = able.length - changed.length;
  const others = failed ? ` ${failed === 1 ? "1 is" : `${count(failed)} are`} not: ${sentence(reason)}` : "";
  notify(`${tasks(changed.length)} ${done}.${others}`, { bad: failed > 0 });
  return changed;
}

const isSure = (number) =>
  ask(
    `Delete ${number === 1 ? "1 task" : `${count(number)} tasks`}?`,
    "The records, the uploads and the results are removed for good.",
    "Delete",
    { danger: true },
  );

/** Call `work` for each item, `AT_ONCE` at a time. */
async function inTurns(items, work) {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const tasks = (number) => `${count(number)} ${number === 1 ? "task is" : "tasks are"}`;
