/* What a task's record says of its recipe, without defaults. */

import assert from "node:assert/strict";
import { test } from "node:test";

const { recipe } = await import("../../app/static/monitor/drawer/recipe.js");

const CATALOG = {
  operations: [{ operation: "blur", parameters: { sigma: { default: 2 }, region: { default: null } } }],
  output: { format: { default: "keep" }, lossless: { default: false }, accept: { default: [] }, quality: {} },
};

test("values that are defaults or not set are left out", () => {
  const task = {
    operations: [{ operation: "blur", sigma: 2, region: null }],
    output: { format: "keep", lossless: true, accept: [], quality: null },
  };
  assert.deepEqual(recipe(task, CATALOG), { operations: [{ operation: "blur" }], lossless: true });
});

test("false is kept where it is not the default", () => {
  const catalog = { ...CATALOG, output: { lossless: { default: true } } };
  assert.deepEqual(recipe({ operations: [], output: { lossless: false } }, catalog), { operations: [], lossless: false });
});

test("each variant has its own, and without a catalog nothing set is left out", () => {
  const variants = { small: { operations: [{ operation: "blur", sigma: 2 }], output: { format: "webp" } } };
  assert.deepEqual(recipe({ variants }, CATALOG), { variants: { small: { operations: [{ operation: "blur" }], format: "webp" } } });
  assert.deepEqual(recipe({ variants }, null), { variants: { small: { operations: [{ operation: "blur", sigma: 2 }], format: "webp" } } });
});
