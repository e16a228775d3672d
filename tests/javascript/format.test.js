/* Numbers and times as the pages show them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, bytes, clock, count, duration, exactClock, printable } from "../../app/static/shared/format.js";

test("control characters of names are replaced, letters of all scripts and emoji are not", () => {
  assert.equal(printable("photo \u202egpj.exe"), "photo \ufffdgpj.exe");
  assert.equal(printable("a\nb\u2066c"), "a\ufffdb\ufffdc");
  for (const text of ["Übung.jpg", "صورة.jpg", "👩‍🎨.png"]) assert.equal(printable(text), text);
});

test("bytes have three digits and a decimal unit", () => {
  for (const [size, text] of [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.00 KB"],
    [10_900, "10.9 KB"],
    [123_456, "123 KB"],
    [2_450_000, "2.45 MB"],
    [5e9, "5.00 GB"],
    [5e12, "5000 GB"],
  ])
    assert.equal(bytes(size), text);
});

test("durations have the two largest units", () => {
  for (const [seconds, text] of [
    [null, "–"],
    [undefined, "–"],
    [0, "0 ms"],
    [0.085, "85 ms"],
    [1.24, "1.2 s"],
    [59, "59 s"],
    [200, "3 min 20 s"],
    [7500, "2 h 5 min"],
  ])
    assert.equal(duration(seconds), text);
});

test("a time in the past is relative up to a day", () => {
  const now = Date.parse("2026-03-01T12:00:00Z");
  for (const [seconds, text] of [
    [-10, "just now"],
    [4, "just now"],
    [12, "12 s ago"],
    [300, "5 min ago"],
    [7200, "2 h ago"],
  ])
    assert.equal(ago(new Date(now - seconds * 1000).toISOString(), now), text);
  assert.equal(ago("2026-02-01T12:00:00Z", now), new Date("2026-02-01T12:00:00Z").toLocaleDateString());
});

test("counts have thousands separators", () => {
  assert.equal(count(1234567), "1,234,567");
});

test("a time of day has the date unless it is today", () => {
  const today = new Date();
  today.setHours(7, 8, 9, 45);
  assert.equal(clock(today), "07:08:09");
  assert.equal(clock(today, { seconds: false }), "07:08");
  assert.equal(exactClock(today), "07:08:09.045");
  assert.equal(clock(new Date(2020, 4, 6, 7, 8, 9)), "6 May 07:08:09");
});
