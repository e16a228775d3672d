/* The order of what the search of the reference finds. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { search } from "../../app/static/docs/entries.js";

const entry = (name, where = "", text = "", { rank = 0, kind = "", more = "" } = {}) => ({
  name,
  kind,
  rank,
  where,
  text,
  more,
  element: null,
});
const UPLOAD = { rank: 1, kind: "Field", more: "Create a task. The upload may arrive in several requests." };
const PROBLEM = { rank: 2, kind: "Problem type" };
const SCHEMA = { rank: 3, kind: "Field" };
const ENTRIES = [
  entry("GET /tasks/{task_id}"),
  entry("GET /tasks", "", "", { more: "A page can have fewer tasks than limit." }),
  entry("POST /tasks/retry", "", "Retry all failed or revoked tasks of a page."),
  entry("GET /uploads/{upload_id}", "", "Return how much of a resumable upload has arrived."),
  entry("Webhooks"),
  entry("Error codes of tasks"),
  entry("max_bytes", "POST /process-image/", "The best quality that fits is chosen.", UPLOAD),
  entry("quantize", "", "Reduce the number of colors."),
  entry("q", "GET /tasks", "Only tasks with this text.", { rank: 1, kind: "Query parameter" }),
  entry("by", "GET /stats", "Adds groups.", { rank: 1, kind: "Query parameter" }),
  entry("callback_url", "POST /process-image/", "URL that gets a webhook when the task ends.", UPLOAD),
  entry("tags", "POST /process-image/", "Words by which the task is found; the limit is 10.", UPLOAD),
  entry("tag", "GET /tasks", "Only tasks with this tag.", { rank: 1, kind: "Query parameter" }),
  entry("429 queue-full", "", "The queue has no room.", PROBLEM),
  entry("404 upload-not-found", "", "No resumable upload has this id.", PROBLEM),
  entry("409 no-webhook", "", "The task has no webhook.", PROBLEM),
  entry("webhook_id", "Resent", "", SCHEMA),
  entry("error_codes", "Catalog", "The error codes of failed tasks.", SCHEMA),
  entry("type", "WebhookEvent", "", { ...SCHEMA, more: "task.failed, task.revoked, task.succeeded" }),
  entry("width", "crop", "Width of the box."),
  entry("width", "resize"),
  entry("border", "", "Draw a border of some width."),
  entry("bandwidth"),
];
const names = (query, limit = 10) => search(ENTRIES, query, limit).map(({ name, where }) => (where ? `${name} of ${where}` : name));

test("a name comes before a part of a name, and that before a text", () => {
  assert.deepEqual(names("width"), ["width of crop", "width of resize", "bandwidth", "border"]);
});

test("of routes that begin alike, the shortest comes first", () => {
  assert.deepEqual(names("get /tasks", 2), ["GET /tasks", "GET /tasks/{task_id}"]);
});

test("each word must occur, in any order and case", () => {
  assert.deepEqual(names("RESIZE width"), ["width of resize"]);
  assert.deepEqual(names("full queue"), ["429 queue-full"]);
  assert.deepEqual(names("width nothing"), []);
});

for (const [query, first] of [
  ["retry all failed", "POST /tasks/retry"],
  ["failed retry", "POST /tasks/retry"],
  ["tag limit", "tags of POST /process-image/"],
  ["webhook upload", "callback_url of POST /process-image/"],
  ["task.succeeded", "type of WebhookEvent"],
  ["error codes", "Error codes of tasks"],
  ["Error codes of tasks", "Error codes of tasks"],
  ["resumable", "GET /uploads/{upload_id}"],
  ["q", "q of GET /tasks"],
  ["by", "by of GET /stats"],
  ["tag", "tag of GET /tasks"],
]) {
  test(`"${query}" finds ${first} first`, () => assert.equal(names(query)[0], first));
}

test("names come before words of texts, and those before what only begins the name of a part of a response", () => {
  const found = ["Webhooks", "409 no-webhook", "callback_url of POST /process-image/", "webhook_id of Resent"];
  assert.deepEqual(names("webhook").slice(0, 4), found);
});

test("a text has a word if one of its words begins with it", () => {
  assert.ok(names("color").includes("quantize"));
  assert.ok(!names("olor").includes("quantize"));
});

test("no words find nothing, and signs are no patterns", () => {
  assert.deepEqual(names("  "), []);
  assert.deepEqual(names(".*"), []);
  assert.deepEqual(names("{task_id}"), ["GET /tasks/{task_id}"]);
});

test("there are at most as many as asked for", () => {
  assert.equal(names("t", 2).length, 2);
});
