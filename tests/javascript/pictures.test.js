/* What the studio says of results: savings, names in a ZIP file, PSNR; and how it waits for a full service. */

import assert from "node:assert/strict";
import { test } from "node:test";

// What a browser has and Node does not.
globalThis.sessionStorage = /** @type {any} */ ({ getItem: () => null });
const { percentSaved } = await import("../../app/static/studio/pictures/result.js");
const { distinct, nameOf } = await import("../../app/static/studio/pictures/zip.js");
const { decibels, reference } = await import("../../app/static/studio/pictures/quality.js");
const { Room } = await import("../../app/static/studio/pictures/room.js");
const { isPicture } = await import("../../app/static/studio/view/intake.js");

test("a saving is never rounded to all or nothing that it is not", () => {
  const cases = [
    [2_450_000, 10_900, "−99.6 %"],
    [1_000_000, 1, "−99.9 %"],
    [1000, 1000, "±0 %"],
    [100_000, 99_990, "−0.1 %"],
    [100_000, 100_010, "+0.1 %"],
    [1000, 500, "−50 %"],
    [36_100, 294_000, "+714 %"],
    [1000, 0, "−100 %"],
  ];
  for (const [before, after, expected] of cases) assert.equal(percentSaved(before, after), expected);
});

test("names in a ZIP file follow the template, and each is there once", () => {
  const picture = { name: "my photo.final.jpg" };
  const output = { name: "my photo.final-small.webp", variant: "small" };
  assert.equal(nameOf("{name}{variant}.{ext}", picture, output, 3), "my photo.final-small.webp");
  assert.equal(nameOf("{n}-{name}.{ext}", picture, output, 3), "3-my photo.final.webp");
  assert.equal(nameOf("../{name}:{x}", picture, output, 3), ".._my photo.final_{x}");
  assert.equal(nameOf("", picture, output, 3), output.name);
  assert.deepEqual(distinct(["a.jpg", "a.jpg", "b", "b", "a.jpg", "a (2).jpg"]), [
    "a.jpg",
    "a (2).jpg",
    "b",
    "b (2)",
    "a (3).jpg",
    "a (2) (2).jpg",
  ]);
});

test("PSNR is that of its definition", () => {
  assert.equal(decibels(0), Number.POSITIVE_INFINITY);
  assert.ok(Math.abs(decibels(255 ** 2)) < 1e-9);
  assert.ok(Math.abs(decibels(6.5025) - 40) < 1e-9); // 255² / 10⁴
  assert.equal(reference([{ format: "png" }]), null);
  assert.equal(reference([{ format: "jpeg" }, { format: "webp" }]), null);
});

test("while the service is full, one attempt is made for each place that becomes free", async () => {
  const room = new Room();
  let [free, attempts] = [2, 0];
  const refused = Object.assign(new Error("full"), { status: 429, retryAfter: 30 });
  const attempt = async () => {
    attempts += 1;
    if (free === 0) throw refused;
    free -= 1;
    return "accepted";
  };
  const held = [];
  const all = Array.from({ length: 6 }, (_, number) => room.enter(attempt, () => held.push(number)));
  await Promise.all(all.slice(0, 2));
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(room.isFull, true);
  const before = attempts;
  for (let number = 0; number < 4; number += 1) {
    free += 1;
    room.ended();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual(await Promise.all(all), Array(6).fill("accepted"));
  assert.ok(attempts - before <= 8, `${attempts - before} attempts`);
  assert.ok(held.length >= 4);
});

test("another refusal ends the waiting of that task alone", async () => {
  const room = new Room();
  const wrong = Object.assign(new Error("wrong"), { status: 422, retryAfter: null });
  await assert.rejects(
    room.enter(
      async () => {
        throw wrong;
      },
      () => {},
    ),
    wrong,
  );
  assert.equal(room.isFull, false);
  const stop = new AbortController();
  const full = Object.assign(new Error("full"), { status: 503, retryAfter: 30 });
  const waiting = room.enter(
    async () => {
      throw full;
    },
    () => stop.abort(),
    stop.signal,
  );
  await assert.rejects(waiting, { name: "AbortError" });
});

test("a file is a picture by its type, or by its extension where there is no type", () => {
  const formats = ["jpeg", "heic", "jp2", "jxl", "tiff"];
  const cases = [
    ["a.jpg", "image/jpeg", true],
    ["a.txt", "text/plain", false],
    ["a.svg", "image/svg+xml", false],
    ["a.pdf", "application/pdf", false],
    ["a.heic", "", true],
    ["A.TIF", "", true],
    ["a.jxl", "", true],
    ["a.md", "", false],
  ];
  for (const [name, type, expected] of cases) assert.equal(isPicture({ name, type }, formats), expected, name);
});
