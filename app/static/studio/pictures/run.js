/* Process pictures: upload, progress and record. */

import { listen, Problem, request, Unreachable, upload } from "../../shared/api.js";
import { words } from "../../shared/format.js";
import { withKey } from "../key.js";
import { outputsOf } from "./picture.js";
import { Room } from "./room.js";

/** Concurrent uploads; more would only share the bandwidth. */
const UPLOADS_AT_ONCE = 3;

/**
 * Concurrent event streams. HTTP/1.1 allows a page six connections to a host, and uploads and results need some. The
 * queue is first in, first out, so the tasks that are followed first also run first.
 */
const STREAMS_AT_ONCE = 2;

/** Poll interval while the event stream of a task is broken. */
const POLL_MS = 1000;

/** After this time, one asks why a task waits. */
export const LONG_WAIT_MS = 5000;

const room = new Room();

/**
 * Process pictures, a few at the same time. The first upload is sent alone, so that an error in the recipe is reported
 * once. `recipe` is {fields, overlay, summary}; `onTask` gets (picture, recipe, task id) of an accepted task.
 */
export async function developAll(pictures, recipe, onTask) {
  const [first, ...others] = pictures;
  const followed = [];
  for (const picture of pictures) {
    picture.reset();
    picture.change({ state: "held", note: "Not sent yet", stop: () => dismiss(picture, others), recipe });
  }
  const start = async (picture) => {
    const isAccepted = await send(picture, recipe, onTask);
    if (isAccepted) followed.push(watch(picture).finally(() => room.ended()));
    return isAccepted;
  };
  if ((await start(first)) || first.problem?.status !== 422 || first.problem.fields.has("file")) {
    await Promise.all(
      Array.from({ length: UPLOADS_AT_ONCE }, async () => {
        for (let next = others.shift(); next; next = others.shift()) await start(next);
      }),
    );
  }
  for (const picture of others) picture.change({ state: "ready", note: "" });
  await Promise.all(followed);
}

function dismiss(picture, others) {
  others.splice(others.indexOf(picture), 1);
  picture.change({ state: "stopped", note: "Stopped before it was sent" });
}

/** Upload a picture; returns whether a task was created. */
async function send(picture, recipe, onTask) {
  const stop = new AbortController();
  picture.change({ state: "sending", note: "Uploading", stop: () => stop.abort() });
  const onProgress = (share) =>
    picture.change({ state: "sending", share, note: share < 1 ? `Uploading, ${Math.round(share * 100)} %` : "Uploaded, being checked" });
  const onHeld = (seconds) =>
    picture.change({ state: "held", share: 0, note: `The service is full. The next attempt is in ${seconds} s, or when a task ends.` });
  try {
    const attempt = () => withKey(() => post(picture, recipe, onProgress, stop.signal));
    const { task_id: id } = await room.enter(attempt, onHeld, stop.signal);
    picture.change({ state: "waiting", share: 0, note: "Waiting for a worker", taskId: id, stop: () => cancel(picture) });
    picture.isSentWith(id);
    onTask(picture, recipe, id);
    return true;
  } catch (error) {
    if (error.name === "AbortError") picture.change({ state: "stopped", note: "Stopped before it was sent" });
    else picture.change({ state: "refused", problem: error, note: error.message });
    return false;
  }
}

/** Create a task of a picture. */
function post(picture, recipe, onProgress, signal) {
  return withoutSource(picture, () => upload("/process-image/", formOf(picture, recipe), onProgress, signal));
}

/** Send a picture's form; once more with its file if the service no longer has that of an earlier task. */
export async function withoutSource(picture, send) {
  try {
    return await send();
  } catch (error) {
    if (!picture.source || ![404, 410].includes(error.status)) throw error;
    picture.forget(error.status === 410);
    return send();
  }
}

/** Return the form of a task. */
export function formOf({ file, address, source }, { fields, overlay }) {
  const form = new FormData();
  for (const [name, value] of fields) form.append(name, value);
  if (source) form.append("source", source);
  else if (address) form.append("url", address);
  else form.append("file", file);
  if (overlay) form.append("overlay", overlay);
  return form;
}

async function cancel(picture) {
  picture.change({ note: "Stopping" });
  try {
    await request(`/tasks/${picture.taskId}/cancel`, { method: "POST" });
  } catch (error) {
    if (!(error instanceof Problem)) picture.change({ note: error.message });
  }
}

/** While a task waits for long, say whether no worker is running or the queue is paused, where that can be known. */
async function explainWaiting(picture, id) {
  const waits = () => picture.taskId === id && picture.state === "waiting";
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LONG_WAIT_MS));
    if (!waits()) return;
    const note = await whyWaiting();
    if (note && waits()) picture.change({ note });
  }
}

/** Return why no task is started, or an empty text if that is not known; some keys may not ask. */
export async function whyWaiting() {
  const [found, queue] = await Promise.all([request("/workers"), request("/queue")]).catch(() => []);
  if (!found) return "";
  if (found.workers.every(({ gone }) => gone)) return "No worker is running. The task waits for one.";
  return queue.paused_at ? "The queue is paused. The task waits." : "";
}

/** Follow a task until its end, and show its record and results. */
export async function watch(picture) {
  try {
    explainWaiting(picture, picture.taskId);
    await ended(picture);
    await showRecord(picture);
  } catch (error) {
    const isGone = error instanceof Problem && error.status === 404;
    picture.change(
      isGone
        ? { state: "expired", note: "This task has expired, and its result with it." }
        : { state: "failed", problem: error, note: error.message },
    );
  }
}

/** Load the record of a task into the picture. */
export async function showRecord(picture) {
  const record = await withKey(() => request(`/tasks/${picture.taskId}`));
  if (record.status === "SUCCESS") picture.change({ state: "done", record, outputs: outputsOf(record), note: "Done" });
  else if (record.status === "REVOKED") picture.change({ state: "stopped", record, note: "Stopped" });
  else if (record.status === "FAILURE") picture.change({ state: "failed", record, note: record.error ?? "The task failed" });
  else await watch(picture);
}

const turns = { free: STREAMS_AT_ONCE, waiting: [] };

async function takeTurn() {
  if (turns.free > 0) turns.free -= 1;
  else await new Promise((resolve) => turns.waiting.push(resolve));
}

function giveTurn() {
  const next = turns.waiting.shift();
  if (next) next();
  else turns.free += 1;
}

/** Wait for the end of a task by its event stream, and by polling while that is broken. */
async function ended(picture) {
  await takeTurn();
  const over = new AbortController();
  let polling = null;
  const onState = (state) => {
    if (state === "closed") polling ??= poll(picture.taskId, over);
  };
  try {
    await listen(`/tasks/${picture.taskId}/events`, (event) => handle(picture, event), { signal: over.signal, onState });
    if (polling) await polling;
  } finally {
    over.abort();
    giveTurn();
  }
}

/** Poll the status until the task has ended, then stop the event stream. */
async function poll(id, over) {
  while (!over.signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    try {
      const { status } = await request(`/task-status/${id}`);
      if (!["PENDING", "STARTED"].includes(status)) over.abort();
    } catch (error) {
      if (!(error instanceof Unreachable) && error.status < 500) over.abort();
    }
  }
}

const HEARD = {
  queued: (data) => ({ state: "waiting", note: data.position > 1 ? `Waiting, ${data.position - 1} before it` : "Waiting for a worker" }),
  started: (data) => ({ state: "working", share: data.progress ?? 0, note: "Developing" }),
  operation: (data) => ({ state: "working", share: data.progress, note: `${words(data.operation)} is done` }),
  output: (data) => ({ state: "working", share: data.progress, note: "Result stored" }),
};

function handle(picture, { name, data }) {
  const news = HEARD[name]?.(data);
  if (news) picture.change(news);
}
