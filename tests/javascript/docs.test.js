/* The order of what the search of the reference finds. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { search } from "../../app/static/docs/entries.js";

const entry = (name, where = "", text = "") => ({ name, kind: "", where, text, element: null });
const ENTRIES = [
  entry("GET /tasks/{task_id}"),
  entry("GET /tasks"),
  entry("429 queue-full", "", "The queue has no room."),
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
  assert.deepEqual(names("get /tasks"), ["GET /tasks", "GET /tasks/{task_id}"]);
});

test("each word must occur, in any order and case", () => {
  assert.deepEqual(names("RESIZE width"), ["width of resize"]);
  assert.deepEqual(names("full queue"), ["429 queue-full"]);
  assert.deepEqual(names("width nothing"), []);
});

test("no words find nothing, and signs are no patterns", () => {
  assert.deepEqual(names("  "), []);
  assert.deepEqual(names(".*"), []);
  assert.deepEqual(names("{task_id}"), ["GET /tasks/{task_id}"]);
});

test("there are at most as many as asked for", () => {
  assert.equal(names("t", 2).length, 2);
});
