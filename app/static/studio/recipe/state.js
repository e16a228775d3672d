/* The recipe as plain data, with undo and redo, and what is made of it: form fields, links and presets. */

/** Changes to the same thing within this time are undone together. */
const MERGE_MS = 1000;
const MOST_UNDO = 100;

let keys = 0;

/**
 * The recipe. `steps` are {key, operation, parameters}, where the key lives as long as the step; `variants` are outputs
 * with a name, in place of one output, and may have operations of their own after the steps; `preset` is a name in place
 * of all of them. Values that are not set are absent.
 * @typedef {{key: number, operation: string, parameters: Record<string, any>}} Step
 * @typedef {{preset: string | null, steps: Step[], output: Record<string, any>, variants: {name: string, output: Record<string, any>, own: any[]}[]}} Value
 */

/** @returns {Value} */
export function empty() {
  return { preset: null, steps: [], output: {}, variants: [] };
}

/** @returns {Step} */
export function stepOf(operation, parameters = {}) {
  keys += 1;
  return { key: keys, operation, parameters };
}

/** Dispatches "change" after each change; `detail` says what was undone or done, or is empty. */
export class RecipeState extends EventTarget {
  constructor(value = empty()) {
    super();
    /** @type {Value} Never changed in place. */
    this.value = value;
    this._past = [];
    this._future = [];
    this._merge = { name: "", until: 0 };
  }

  get canUndo() {
    return this._past.length > 0;
  }

  get canRedo() {
    return this._future.length > 0;
  }

  /** The label of the change that `undo` takes back. */
  get lastLabel() {
    return this._past.at(-1)?.label ?? "";
  }

  /** Replace parts of the recipe. `label` names the change; changes with the same `merge` in a row count as one. */
  change(parts, label, merge = "") {
    const now = Date.now();
    const isSame = merge !== "" && merge === this._merge.name && now < this._merge.until;
    if (!isSame) this._past = [...this._past, { value: this.value, label }].slice(-MOST_UNDO);
    this._merge = { name: merge, until: now + MERGE_MS };
    this._future = [];
    this.value = { ...this.value, ...parts };
    this._tell("");
  }

  undo() {
    this._travel(this._past, this._future, "Undone");
  }

  redo() {
    this._travel(this._future, this._past, "Done again");
  }

  add(operation, parameters = {}) {
    const step = stepOf(operation, parameters);
    this.change({ steps: [...this.value.steps, step] }, "Step added");
    return step;
  }

  /** Set a parameter of a step; undefined leaves it out. */
  setParameter(key, name, value) {
    const steps = this.value.steps.map((step) =>
      step.key === key ? { ...step, parameters: withValue(step.parameters, name, value) } : step,
    );
    // Adding or removing an entry of a list is a change of its own.
    const before = this.value.steps.find((step) => step.key === key)?.parameters[name];
    const isOther = Array.isArray(value) && value.length !== before?.length;
    this.change({ steps }, "Step changed", isOther ? "" : `${key} ${name}`);
  }

  /** Set several parameters of a step as one change, which goes on while it is the same `merge`. */
  setParameters(key, parameters, merge = "") {
    const steps = this.value.steps.map((step) =>
      step.key === key
        ? { ...step, parameters: Object.entries(parameters).reduce((all, [name, value]) => withValue(all, name, value), step.parameters) }
        : step,
    );
    this.change({ steps }, "Step changed", merge && `${key} ${merge}`);
  }

  move(key, by) {
    const from = this.value.steps.findIndex((step) => step.key === key);
    const to = from + by;
    if (to < 0 || to >= this.value.steps.length) return;
    const steps = [...this.value.steps];
    steps.splice(to, 0, ...steps.splice(from, 1));
    this.change({ steps }, "Step moved");
  }

  remove(key) {
    this.change({ steps: this.value.steps.filter((step) => step.key !== key) }, "Step removed");
  }

  clear() {
    this.change({ steps: [] }, "All steps removed");
  }

  setOutput(name, value) {
    this.change({ output: withValue(this.value.output, name, value) }, "File changed", `output ${name}`);
  }

  /** Put another recipe in place of this one. */
  replace(value, label) {
    this.change(value, label);
  }

  _travel(from, to, what) {
    const entry = from.pop();
    if (!entry) return;
    to.push({ value: this.value, label: entry.label });
    this.value = entry.value;
    this._merge.name = "";
    this._tell(`${what}: ${entry.label.toLowerCase()}`);
  }

  _tell(detail) {
    this.dispatchEvent(new CustomEvent("change", { detail }));
  }
}

function withValue(values, name, value) {
  const { [name]: _, ...others } = values;
  return value === undefined ? others : { ...values, [name]: value };
}

/** Return the recipe as the JSON of the API: {operations, …output}, {variants} or {preset}. */
export function toJSON({ preset, steps, output, variants }) {
  if (preset) return { preset };
  const operations = steps.map(asJSON);
  if (variants.length)
    return {
      variants: Object.fromEntries(variants.map(({ name, output, own }) => [name, { operations: [...operations, ...own], ...output }])),
    };
  return { operations, ...output };
}

/**
 * Return the recipe of such a JSON, or throw an Error that says what is wrong with it. `catalog` is the answer of
 * `GET /operations`: what it does not contain is refused. Values are checked by the service.
 * @returns {Value}
 */
export function fromJSON(json, catalog) {
  if (!isObject(json)) throw new Error("a recipe is an object");
  const { preset = null, variants = {}, operations = [], ...output } = json;
  if (preset !== null) {
    if (typeof preset !== "string") throw new Error("preset is a name");
    if (!catalog.presets.includes(preset)) throw new Error(`there is no preset ${preset}`);
    return { ...empty(), preset };
  }
  if (!isObject(variants)) throw new Error("variants is an object of outputs by name");
  const all = Object.entries(variants).map(([name, variant]) => parsedVariant(name, variant, catalog));
  const steps = all.length ? all[0].steps.slice(0, sharedLength(all.map((each) => each.steps))) : parsedSteps(operations, catalog);
  return {
    preset,
    steps: steps.map((step) => stepOf(step.operation, step.parameters)),
    output: known(output, catalog.output, "the output"),
    variants: all.map((each) => ({ name: each.name, output: each.output, own: each.steps.slice(steps.length).map(asJSON) })),
  };
}

function parsedVariant(name, variant, catalog) {
  if (!isObject(variant)) throw new Error(`the variant ${name} is an object`);
  const { operations = [], ...output } = variant;
  return { name, steps: parsedSteps(operations, catalog), output: known(output, catalog.output, `the variant ${name}`) };
}

function parsedSteps(operations, catalog) {
  if (!Array.isArray(operations)) throw new Error("operations is a list");
  return operations.map((step) => parsedStep(step, catalog));
}

const asJSON = ({ operation, parameters }) => ({ operation, ...parameters });

/** The number of steps with which all lists begin. */
function sharedLength(lists) {
  const texts = lists.map((steps) => steps.map((step) => JSON.stringify(asJSON(step))));
  let length = 0;
  while (length < texts[0].length && texts.every((each) => each[length] === texts[0][length])) length += 1;
  return length;
}

function parsedStep(step, catalog) {
  const { operation: name, ...parameters } = isObject(step) ? step : { operation: undefined };
  const found = catalog.operations.find(({ operation }) => operation === name);
  if (!found) throw new Error(`there is no operation ${name}`);
  return stepOf(name, known(parameters, found.parameters, name));
}

function known(values, allowed, where) {
  const unknown = Object.keys(values).find((name) => !Object.hasOwn(allowed, name));
  if (unknown) throw new Error(`${where} has no ${unknown}`);
  return values;
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** Return a recipe's fields in a form, as [name, text], in the shortest way. */
export function formFields(value, catalog) {
  const { operations, ...others } = toJSON(value);
  const [step, ...more] = operations ?? [];
  // One operation needs no JSON, unless it shares the name of a parameter with the output, which would apply to both.
  const isSingle =
    step && more.length === 0 && !Object.keys(operationOf(step.operation, catalog).parameters).some((name) => name in catalog.output);
  const all = isSingle ? { ...step, ...others } : { ...(operations && { operations }), ...others };
  return Object.entries(all).map(([name, each]) => [name, typeof each === "object" ? JSON.stringify(each) : String(each)]);
}

export function isSingle(value, catalog) {
  return value.preset === null && formFields(value, catalog).some(([name]) => name === "operation");
}

export function operationOf(name, catalog) {
  return catalog.operations.find(({ operation }) => operation === name);
}

/** Return whether a step uses the overlay. */
export function takesOverlay(value, catalog) {
  return value.preset === null && value.steps.some(({ operation }) => operationOf(operation, catalog).takes_overlay);
}

/** A summary in a few words. */
export function summary({ preset, steps, output, variants }) {
  if (preset) return preset;
  const done = steps.map(({ operation }) => operation.replaceAll("_", " "));
  if (variants.length) done.push(`as ${variants.map(({ name }) => name).join(", ")}`);
  return done.join(", ") || `to ${output.format ?? "the same format"}`;
}

/** The part of a link after `#r=`: the JSON in base64url. */
export function encode(value) {
  const bytes = new TextEncoder().encode(JSON.stringify(toJSON(value)));
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}

/** Return the JSON of such a link; throw an Error if it is none. */
export function decode(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Error("the link is damaged");
  }
}

/** Return the recipe as a preset in TOML, for PRESETS_FILE. */
export function toTOML(name, value) {
  const { preset, ...json } = toJSON(value);
  const lines = Object.entries(preset ? {} : json).map(([field, each]) => `${key(field)} = ${toml(each)}`);
  return [`[${key(name)}]`, ...lines, ""].join("\n");
}

const key = (name) => (/^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name));

function toml(value) {
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  if (isObject(value))
    return `{${Object.entries(value)
      .map(([name, each]) => `${key(name)} = ${toml(each)}`)
      .join(", ")}}`;
  return JSON.stringify(value); // strings, numbers and booleans are written alike
}
