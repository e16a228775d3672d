/* Convert between a number and the position of its slider. */

const POSITIONS = 1000;

/** Ratio of a range above which a linear slider is not useful. */
const WIDE = 1000;

/** The smallest step that shows, for a range and a value: 0.01 in 0 to 1, 0.05 near 1 in 0 to 10, 1 in hundreds. */
function stepAt(schema, range, value) {
  if (schema.type === "integer" || range > 100) return range > 100 && schema.type === "number" && Math.abs(value) < 10 ? 0.1 : 1;
  if (range <= 1) return 0.01;
  return Math.abs(value) < 10 ? 0.05 : 0.5;
}

/** Common values get most of the slider: a cubic scale if the default is at the low end or the range is wide. */
function isSkewed(schema, min, range) {
  if (min < 0 || range <= 4) return false;
  if (schema.default === undefined) return range > WIDE || schema.type === "number";
  return (schema.default - min) / range < 0.2;
}

/** Return the scale of a slider for this schema, or null if it has no minimum or maximum. */
export function scaleOf(schema) {
  const min = schema.minimum ?? schema.exclusiveMinimum;
  const max = schema.maximum ?? schema.exclusiveMaximum;
  if (min === undefined || max === undefined) return null;
  const range = max - min;
  const power = isSkewed(schema, min, range) ? 3 : 1;
  return {
    positions: POSITIONS,
    toPosition: (value) => Math.round(POSITIONS * ((Math.min(max, Math.max(min, value)) - min) / range) ** (1 / power)),
    fromPosition: (position) => {
      const value = min + range * (position / POSITIONS) ** power;
      const step = stepAt(schema, range, value);
      const lowest = schema.minimum ?? schema.exclusiveMinimum + step;
      const highest = schema.maximum ?? schema.exclusiveMaximum - step;
      return Number(Math.min(highest, Math.max(lowest, Math.round(value / step) * step)).toFixed(3));
    },
  };
}

/** The step of the arrow keys in a number field. */
export function keyStep(schema) {
  const range = (schema.maximum ?? schema.exclusiveMaximum ?? Infinity) - (schema.minimum ?? schema.exclusiveMinimum ?? 0);
  return schema.type === "integer" ? 1 : stepAt(schema, range, 1);
}
