/* The live preview: the selected picture with the present recipe, shortly after each change. */

import { Problem, request, send } from "../../shared/api.js";
import { revokeLater } from "./picture.js";
import { formOf, LONG_WAIT_MS, whyWaiting, withoutSource } from "./run.js";

/** Time without a change before a preview is made. */
const PAUSE_MS = 300;

/** Longer side of a preview in pixels. */
const MOST_PX = 1600;

/** Longest time that the service holds the request open, in seconds. */
const WAIT_S = 30;

/** Formats that a browser shows, and that need no other for the preview. */
const SHOWN = ["jpeg", "png", "webp", "avif", "gif"];

export class Preview extends EventTarget {
  /** `taskOf` returns {fields, overlay} of a recipe. */
  constructor(taskOf) {
    super();
    this._taskOf = taskOf;
    this._timer = 0;
    /** @type {AbortController | null} */
    this._running = null;
    this.isBusy = false;
    this.note = "";
    /** The last preview: {picture, url, value}, or null. */
    this.shown = null;
  }

  /** Make a preview of a picture with a recipe soon, and drop the one that is under way. */
  ask(picture, value) {
    this.drop();
    if (!(picture?.file || picture?.address) || picture.state === "refused" || !canBeShown(value, this._taskOf(value).overlay)) {
      this._show(null);
      return;
    }
    this._timer = setTimeout(() => this._make(picture, value), PAUSE_MS);
  }

  /** Stop what is under way. */
  drop() {
    clearTimeout(this._timer);
    this._running?.abort();
    this._running = null;
    this._tell(false, "");
  }

  /** Return the URL of a picture after some steps, in full size; null if the service is busy or it fails. */
  async before(picture, steps) {
    this.drop();
    this._tell(true, "");
    try {
      const value = { preset: null, steps, output: { format: "png" }, variants: [] };
      const blob = await this._fetch(picture, this._taskOf(value), new AbortController().signal);
      this._tell(false, blob ? "" : "The steps before cannot be shown: the service is busy");
      return blob && URL.createObjectURL(blob);
    } catch (error) {
      this._tell(false, `The steps before cannot be shown: ${error.message}`);
      return null;
    }
  }

  async _make(picture, value) {
    const running = new AbortController();
    this._running = running;
    this._tell(true, "");
    const explain = setInterval(async () => {
      const note = await whyWaiting();
      if (note && this._running === running) this._tell(true, note);
    }, LONG_WAIT_MS);
    try {
      const blob = await this._fetch(picture, this._taskOf(small(value)), running.signal);
      if (running.signal.aborted) return;
      this._show(blob && { picture, value, url: URL.createObjectURL(blob) });
      this._tell(false, blob ? "" : "No preview: the service is busy");
    } catch (error) {
      if (running.signal.aborted) return;
      this._show(null);
      // What is wrong with the recipe is said at its fields when it is developed.
      this._tell(
        false,
        error instanceof Problem && error.status === 422 ? "No preview: the recipe is not complete" : `No preview: ${error.message}`,
      );
    } finally {
      clearInterval(explain);
      if (this._running === running) this._running = null;
    }
  }

  /** Return the preview's bytes, or null if it takes too long. */
  async _fetch(picture, task, signal) {
    const answer = await this._post(picture, task, signal);
    const id = answer.headers.get("content-location")?.split("/")[2] ?? answer.headers.get("location")?.split("/").at(-1);
    if (id) picture.isSentWith(id);
    if (signal.aborted) return null;
    if (answer.headers.get("content-type")?.startsWith("image/")) return answer.blob();
    const { status, error } = await answer.json();
    if (status === "FAILURE") throw new Error(error);
    if (id) request(`/tasks/${id}/cancel`, { method: "POST" }).catch(() => {});
    return null;
  }

  async _post(picture, task, signal) {
    const headers = { Prefer: `wait=${WAIT_S}`, Accept: "image/*" };
    // Somebody waits for it: it comes before the pictures that are developed.
    const fields = [...task.fields, ["priority", "high"]];
    const post = () => send("/process-image/", { method: "POST", body: formOf(picture, { ...task, fields }), headers, signal });
    return withoutSource(picture, post);
  }

  _show(shown) {
    if (this.shown) revokeLater(this.shown.url);
    this.shown = shown;
    this.dispatchEvent(new Event("change"));
  }

  _tell(isBusy, note) {
    if (isBusy === this.isBusy && note === this.note) return;
    Object.assign(this, { isBusy, note });
    this.dispatchEvent(new Event("busy"));
  }
}

/** A preset and a report are shown after Develop only, and a step that has just begun is not complete. */
function canBeShown({ preset, steps, output, variants }, overlay) {
  const isNothing = steps.length === 0 && Object.keys(output).length === 0 && variants.length === 0;
  const isBegun = steps.some(({ operation, parameters }) => BEGUN[operation]?.(parameters, overlay));
  return preset === null && !isNothing && !isBegun && steps.at(-1)?.operation !== "inspect";
}

/** Steps with parameters that they need -> whether these are missing. */
const BEGUN = {
  redact: ({ boxes = [] }) => boxes.length === 0 || boxes.some((box) => Object.keys(box).length < 4),
  watermark: ({ text }, overlay) => !text && !overlay,
  crop: ({ width, height, aspect_ratio: ratio }) => !ratio && !(width && height),
};

/** The recipe of the preview: the same steps, then made smaller, in a format that the browser shows. */
function small({ steps, output, variants }) {
  const { format, quality, effort, ...others } = variants.length ? variants[0].output : output;
  const { max_bytes: _, accept: __, ...kept } = others;
  const isShown = format === undefined || SHOWN.includes(format);
  const parameters = { width: MOST_PX, height: MOST_PX, fit: "inside", enlarge: false };
  return {
    preset: null,
    steps: [...steps, { key: 0, operation: "resize", parameters }],
    output: isShown ? defined({ ...kept, format, quality, effort }) : { format: "webp" },
    variants: [],
  };
}

const defined = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
