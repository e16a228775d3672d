/* The recipe as data: changes, undo, links, form fields and presets. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { decode, empty, encode, formFields, fromJSON, RecipeState, summary, toJSON, toTOML } from "../../app/static/studio/recipe/state.js";

const catalog = {
  presets: ["thumbnail"],
  output: { format: {}, quality: {}, background: {} },
  operations: [
    { operation: "resize", parameters: { width: {}, fit: {} }, takes_overlay: false },
    { operation: "pad", parameters: { top: {}, background: {} }, takes_overlay: false },
    { operation: "redact", parameters: { boxes: {}, style: {} }, takes_overlay: false },
  ],
};

const BOXES = [{ left: 1, top: 2, width: 30, height: 40 }];

test("every change is undone and done again, in order", () => {
  const state = new RecipeState();
  const seen = [toJSON(state.value)];
  const note = () => seen.push(toJSON(state.value));
  const resize = state.add("resize", { width: 400 });
  note();
  const redact = state.add("redact", { boxes: BOXES });
  note();
  state.move(redact.key, -1);
  note();
  state.setOutput("format", "webp");
  note();
  state.remove(resize.key);
  note();
  state.clear();
  note();
  for (const expected of seen.slice(0, -1).reverse()) {
    state.undo();
    assert.deepEqual(toJSON(state.value), expected);
  }
  assert.equal(state.canUndo, false);
  for (const expected of seen.slice(1)) {
    state.redo();
    assert.deepEqual(toJSON(state.value), expected);
  }
  assert.equal(state.canRedo, false);
});

test("typing into a field is one change, and a new change forgets what was undone", () => {
  const state = new RecipeState();
  const { key } = state.add("resize");
  for (const width of [4, 40, 400]) state.setParameter(key, "width", width);
  state.setParameter(key, "fit", "inside");
  state.undo();
  assert.deepEqual(toJSON(state.value).operations, [{ operation: "resize", width: 400 }]);
  state.undo();
  assert.deepEqual(toJSON(state.value).operations, [{ operation: "resize" }]);
  state.setParameter(key, "width", undefined);
  assert.equal(state.canRedo, false);
});

test("the value is never changed in place", () => {
  const state = new RecipeState();
  const { key } = state.add("resize", { width: 1 });
  const before = structuredClone(toJSON(state.value));
  const { value } = state;
  state.setParameters(key, { width: 2, fit: undefined });
  assert.deepEqual(toJSON(value), before);
});

const RECIPES = [
  {},
  { operations: [{ operation: "resize", width: 400 }], format: "webp", quality: 75 },
  {
    operations: [
      { operation: "redact", boxes: BOXES },
      { operation: "pad", background: "ünï & ;" },
    ],
  },
  { variants: { small: { operations: [], format: "webp" }, large: { operations: [], format: "avif", quality: 50 } } },
  {
    variants: {
      small: {
        operations: [
          { operation: "pad", top: 1 },
          { operation: "resize", width: 4 },
        ],
        format: "webp",
      },
      large: { operations: [{ operation: "pad", top: 1 }], format: "webp" },
    },
  },
  { preset: "thumbnail" },
];

test("a recipe survives its JSON and its link", () => {
  for (const json of RECIPES) {
    const value = fromJSON(json, catalog);
    assert.deepEqual(toJSON(value), "operations" in json || Object.keys(json).length ? json : { operations: [] });
    const link = encode(value);
    assert.match(link, /^[\w-]+$/);
    assert.deepEqual(toJSON(fromJSON(decode(link), catalog)), toJSON(value));
  }
});

test("a link that says nonsense is refused with the reason", () => {
  const cases = [
    [[], "a recipe is an object"],
    [{ operations: 1 }, "operations is a list"],
    [{ operations: [{ operation: "explode" }] }, "there is no operation explode"],
    [{ operations: [{ operation: "resize", depth: 3 }] }, "resize has no depth"],
    [{ operations: [null] }, "there is no operation undefined"],
    [{ __proto__x: 1 }, "the output has no __proto__x"],
    [{ preset: 3 }, "preset is a name"],
    [{ preset: "none" }, "there is no preset none"],
    [{ variants: { a: { operations: [] }, b: 3 } }, "the variant b is an object"],
    [{ variants: [] }, "variants is an object of outputs by name"],
    [{ operations: [{ operation: "constructor" }] }, "there is no operation constructor"],
    [{ constructor: 1 }, "the output has no constructor"],
  ];
  for (const [json, message] of cases) assert.throws(() => fromJSON(json, catalog), { message });
  for (const text of ["", "%", "e30x", "_____"]) assert.throws(() => decode(text), { message: "the link is damaged" });
});

test("one operation is sent as plain fields, unless a parameter is also one of the output", () => {
  assert.deepEqual(formFields(fromJSON({ operations: [{ operation: "resize", width: 4 }], format: "png" }, catalog), catalog), [
    ["operation", "resize"],
    ["width", "4"],
    ["format", "png"],
  ]);
  assert.deepEqual(formFields(fromJSON({ operations: [{ operation: "pad", top: 4 }] }, catalog), catalog), [
    ["operations", '[{"operation":"pad","top":4}]'],
  ]);
  assert.deepEqual(formFields(empty(), catalog), [["operations", "[]"]]);
});

test("what variants have in common are steps, and the rest is their own", () => {
  const { steps, variants } = fromJSON(RECIPES[4], catalog);
  assert.deepEqual(
    steps.map(({ operation }) => operation),
    ["pad"],
  );
  assert.deepEqual(
    variants.map(({ own }) => own),
    [[{ operation: "resize", width: 4 }], []],
  );
});

test("a summary names the steps", () => {
  assert.equal(summary(fromJSON(RECIPES[2], catalog)), "redact, pad");
  assert.equal(summary(fromJSON(RECIPES[3], catalog)), "as small, large");
  assert.equal(summary(empty()), "to the same format");
});

test("a preset is TOML that Python reads as the same recipe", () => {
  for (const json of RECIPES.slice(1, 5)) {
    const text = toTOML("my preset", fromJSON(json, catalog));
    const read = execFileSync("python3", ["-c", "import json, sys, tomllib; print(json.dumps(tomllib.loads(sys.stdin.read())))"], {
      input: text,
    });
    assert.deepEqual(JSON.parse(read.toString()), { "my preset": json });
  }
});
