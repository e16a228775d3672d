/* Sliders: every position is a valid value, and every value has a position. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { scaleOf } from "../../app/static/shared/scale.js";

const SCHEMAS = {
  share: { type: "number", minimum: 0, maximum: 1, default: 0.3 },
  sigma: { type: "number", minimum: 0.1, maximum: 1000, default: 2 },
  angle: { type: "number", minimum: -360, maximum: 360, default: 0 },
  side: { type: "integer", minimum: 1, maximum: 16383 },
  exclusive: { type: "number", exclusiveMinimum: 0, maximum: 16 },
};

for (const [name, schema] of Object.entries(SCHEMAS)) {
  test(`${name}: positions are values within the bounds, in order`, () => {
    const scale = scaleOf(schema);
    let last = Number.NEGATIVE_INFINITY;
    for (let position = 0; position <= scale.positions; position += 1) {
      const value = scale.fromPosition(position);
      assert.ok(value >= (schema.minimum ?? 0) && value <= schema.maximum, `${position}: ${value}`);
      assert.ok(schema.exclusiveMinimum === undefined || value > schema.exclusiveMinimum);
      assert.ok(value >= last, `${position}: ${value} after ${last}`);
      last = value;
    }
  });

  test(`${name}: the ends of the slider are the bounds`, () => {
    const scale = scaleOf(schema);
    assert.equal(scale.fromPosition(scale.positions), schema.maximum);
    if (schema.minimum !== undefined) assert.equal(scale.fromPosition(0), schema.minimum);
    assert.equal(scale.toPosition(schema.maximum), scale.positions);
    assert.equal(scale.toPosition(-1e9), 0);
  });
}

test("a schema without two bounds has no slider", () => {
  assert.equal(scaleOf({ type: "number", minimum: 0 }), null);
  assert.equal(scaleOf({ type: "string" }), null);
});
