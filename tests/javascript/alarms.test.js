/* When the monitor calls somebody. */

import assert from "node:assert/strict";
import { test } from "node:test";

// What a browser has and Node does not.
globalThis.document = /** @type {any} */ ({ addEventListener() {} });
const { alarmsOf } = await import("../../app/static/monitor/panels/alarms.js");

const stats = (now = {}, total = {}) => ({
  range: "hour",
  storage: "ok",
  now: { waiting: 3, limit: 1000, running: 2, oldest_waiting_s: 1, paused_at: null, ...now },
  total: { ended: { SUCCESS: 19, FAILURE: 0, REVOKED: 0 }, failure_rate: 0, ...total },
});
const ALIVE = [{ gone: false }, { gone: true }];

test("a healthy service calls nobody", () => {
  assert.deepEqual(alarmsOf(stats(), ALIVE), []);
  assert.deepEqual(alarmsOf(stats({ waiting: 800, oldest_waiting_s: 60 }), ALIVE), []);
  assert.deepEqual(alarmsOf(stats({ waiting: 0, oldest_waiting_s: null }, { failure_rate: null }), ALIVE), []);
});

test("each alarm says what is wrong, in numbers", () => {
  assert.deepEqual(alarmsOf(stats({ waiting: 20 }), [{ gone: true }]), ["No worker is running; 20 tasks wait."]);
  assert.deepEqual(alarmsOf(stats({ waiting: 1 }), []), ["No worker is running; 1 task waits."]);
  assert.deepEqual(alarmsOf(stats({ waiting: 812 }), ALIVE), ["The queue is nearly full: 812 of 1,000."]);
  assert.deepEqual(alarmsOf(stats({ oldest_waiting_s: 82 }), ALIVE), ["The oldest task has waited 1 min 22 s."]);
  assert.deepEqual(alarmsOf(stats({ oldest_waiting_s: 82, paused_at: "2026-03-01T12:00:00.000Z" }), ALIVE), []); // has a notice of its own
  const failing = { ended: { SUCCESS: 18, FAILURE: 2, REVOKED: 0 }, failure_rate: 0.1 };
  assert.deepEqual(alarmsOf(stats({}, failing), ALIVE), ["10 % of 20 runs failed in the last hour."]);
  assert.deepEqual(alarmsOf({ ...stats(), storage: "not available" }, ALIVE), [
    "Storage: not available. Uploads are refused, and tasks wait.",
  ]);
  // Of fewer than 20, one failure says nothing.
  assert.deepEqual(alarmsOf(stats({}, { ended: { SUCCESS: 17, FAILURE: 2, REVOKED: 0 }, failure_rate: 0.105 }), ALIVE), []);
});
