/* The pictures of the page: taking, keeping, developing and saving them. */

import { file as load, request } from "../../shared/api.js";
import { announce, byId } from "../../shared/dom.js";
import { bytes } from "../../shared/format.js";
import { fromJSON, toJSON } from "../recipe/state.js";
import { isPicture, takeFiles } from "../view/intake.js";
import { History } from "./history.js";
import { drop, keep, kept } from "./keep.js";
import { Picture, thumbnail } from "./picture.js";
import { developAll, watch } from "./run.js";
import { Strip } from "./strip.js";
import { saveZip } from "./zip.js";

const STATUS = { waiting: "PENDING", working: "STARTED", done: "SUCCESS", failed: "FAILURE", stopped: "REVOKED", expired: "EXPIRED" };

/** The formats that are compared, and the quality of those that have one. */
const COMPARED = ["jpeg", "webp", "avif", "png"];
const COMPARED_QUALITY = 75;

export class Desk {
  /** `onChange` is called after each change of what is here or selected. */
  constructor(state, recipe, stage, catalog, onChange) {
    this._state = state;
    this._recipe = recipe;
    this._stage = stage;
    this._catalog = catalog;
    this._onChange = onChange;
    this._button = byId("develop");
    this._intake = takeFiles((files) => this.take(files));
    this._strip = new Strip(byId("pictures"), {
      select: (picture) => this._show(picture),
      add: this._intake.choose,
      remove: (picture) => {
        picture.discard();
        drop(picture);
        onChange();
      },
      downloadAll: (template) => this._saveAll(template),
    });
    this._history = new History(byId("history"), byId("clear-history"), (entry) => this._reopen(entry));
    this._button.addEventListener("click", () => this.develop(this._undone()));
    this._history.refresh();
  }

  choose() {
    this._intake.choose();
  }

  /** The pictures that can be developed: their file or address is here. */
  get own() {
    return this._strip.pictures.filter(({ file, address, isForeign }) => (file || address) && !isForeign);
  }

  /** Add files and show the first of them. */
  async take(files) {
    const pictures = files.map((file) => new Picture({ file }));
    for (const picture of pictures) this._add(picture);
    if (pictures.length) this._strip.select(pictures[0]);
    announce(pictures.length === 1 ? `${pictures[0].name} is here` : `${pictures.length} pictures are here`);
    await Promise.all(pictures.map(keep));
    // One after the other, because each is decoded completely.
    for (const picture of pictures) {
      picture.change(await thumbnail(picture.file));
      await keep(picture);
    }
  }

  /** Add a picture by its URL, which the service fetches. */
  takeAddress(address) {
    const picture = new Picture({ address, name: decodeURIComponent(new URL(address).pathname.split("/").at(-1)) || "picture" });
    this._add(picture);
    this._strip.select(picture);
    keep(picture);
  }

  async takeSample(name) {
    const answer = await fetch(new URL(`../../samples/${name}`, import.meta.url));
    await this.take([new File([await answer.blob()], name, { type: "image/jpeg" })]);
  }

  /** Add the upload of a task, or its URL if the upload is gone; throws `Problem` or `Unreachable`. */
  async takeTask(id) {
    const { file } = await request(`/tasks/${id}`);
    try {
      const blob = await load(`/tasks/${id}/upload`);
      await this.take([new File([blob], file.name || "upload", { type: blob.type })]);
    } catch (error) {
      if (!file.url) throw error;
      this.takeAddress(file.url);
    }
  }

  /** Show the pictures of the last visit, with their tasks. */
  async restore() {
    const stored = await kept();
    // What was taken meanwhile is stored as well.
    const isHere = ({ id }) => this._strip.pictures.some((picture) => picture.id === id);
    const pictures = stored.filter((each) => !isHere(each)).map((each) => new Picture(each));
    for (const picture of pictures) {
      this._add(picture);
      const last = this._history.entries.find((entry) => entry.picture === picture.id && entry.status !== "EXPIRED");
      if (!last) continue;
      picture.recipe = last;
      picture.isSentWith(last.id);
      this._follow(picture, last.id);
    }
    if (pictures.length && !this._strip.selected) this._strip.select(pictures.at(-1));
    for (const picture of pictures) if (picture.file && !picture.width) picture.change(await thumbnail(picture.file));
  }

  async develop(pictures) {
    if (!pictures.length) return;
    this._stage.endEditing();
    this._recipe.forgive();
    const { task } = this._recipe;
    await this._run(pictures, task, null);
  }

  /** Make one task of a picture with its recipe in several formats. */
  async compare(picture) {
    const { output } = this._state.value;
    const quality = output.quality ?? COMPARED_QUALITY;
    const variants = COMPARED.map((format) => ({
      name: format,
      output: format === "png" ? { format } : { format, quality },
      own: [],
    }));
    const task = this._recipe.taskOf({ ...this._state.value, preset: null, variants });
    await this._run([picture], task, task);
  }

  async _run(pictures, task, compared) {
    for (const picture of pictures) Object.assign(picture, { isPlaced: false, compared });
    const running = developAll(pictures, task, (picture, recipe, id) => this._remember(picture, recipe, id));
    this._onChange();
    if (!byId("stage").contains(document.activeElement)) byId("stage").focus({ preventScroll: true });
    byId("stage").scrollIntoView({ block: "nearest" });
    await running;
    this._onChange();
  }

  /** The pictures that are new, changed or failed: their result is not that of the recipe. */
  _undone() {
    const { task } = this._recipe;
    return this.own.filter((picture) => !picture.isBusy && !picture.isMadeBy(task));
  }

  /** Say on the button what it does, and mark results of another recipe. */
  label() {
    const { task } = this._recipe;
    for (const picture of this._strip.pictures) {
      const isStale = picture.state === "done" && !picture.isMadeBy(picture.compared ?? task);
      if (isStale !== picture.isStale) picture.change({ isStale });
    }
    const [count, undone] = [this.own.length, this._undone().length];
    const isBusy = this._strip.pictures.some((picture) => picture.isBusy);
    this._button.disabled = undone === 0 || isBusy;
    if (isBusy) this._button.textContent = "Developing …";
    else if (count === 0) this._button.textContent = "Choose a picture first";
    else if (undone === 0) this._button.textContent = count === 1 ? "Developed" : `All ${count} developed`;
    else this._button.textContent = undone === 1 ? "Develop" : `Develop ${undone} pictures`;
  }

  _add(picture) {
    this._strip.add(picture);
    picture.addEventListener("change", () => this._hear(picture));
    if (!picture.file || isPicture(picture.file, this._catalog.input)) return;
    picture.change({ isForeign: true, state: "refused", problem: null, note: `${picture.name} is not a picture that this service reads.` });
  }

  _show(picture) {
    this._stage.select(picture);
    this._onChange();
    byId("stage").scrollIntoView({ block: "nearest" });
  }

  _hear(picture) {
    if (picture.taskId && STATUS[picture.state]) this._history.mark(picture.taskId, STATUS[picture.state]);
    if (picture.announced === picture.state) return;
    picture.announced = picture.state;
    if (picture.state === "done") announce(`${picture.name} is done: ${picture.outputs.map((output) => bytes(output.bytes)).join(", ")}`);
    if (picture.state === "refused" && picture.problem) this._complain(picture);
    if (picture.state === "failed") announce(`${picture.name}: ${picture.note}`);
    this._onChange();
  }

  /** Show all errors at the fields of the recipe, or else over the picture. */
  _complain(picture) {
    const targets = [...(picture.problem.fields ?? [])].map(([field, message]) => this._recipe.complain(field, message));
    const isPlaced = targets.length > 0 && targets.every(Boolean);
    picture.change({ isPlaced });
    const [first] = targets.filter(Boolean);
    if (first) this._recipe.reveal(first);
    else if (this._strip.selected === picture) this._stage.focusBanner();
    if (isPlaced) announce(picture.problem.message);
  }

  _remember(picture, recipe, id) {
    const { overlay } = recipe;
    this._history.add({
      id,
      name: picture.name,
      at: new Date().toISOString(),
      summary: recipe.summary,
      json: recipe.json,
      fields: recipe.fields,
      overlay: overlay && { name: overlay.name, size: overlay.size, lastModified: overlay.lastModified },
      picture: picture.id,
      thumb: picture.thumb,
      status: "PENDING",
    });
  }

  /** Show an earlier task: its result, and its recipe as steps. */
  async _reopen(entry) {
    let picture = this._strip.pictures.find(({ taskId }) => taskId === entry.id);
    if (!picture) {
      const before = this._strip.pictures.find(({ id }) => id === entry.picture);
      picture = new Picture({ name: entry.name, thumb: entry.thumb, before: before?.file ?? null });
      picture.recipe = entry;
      this._strip.add(picture);
      picture.addEventListener("change", () => this._hear(picture));
      this._follow(picture, entry.id);
    }
    this._openRecipe(entry);
    this._strip.select(picture);
    byId("stage").focus({ preventScroll: true });
  }

  _openRecipe({ json }) {
    if (!json || JSON.stringify(json) === JSON.stringify(toJSON(this._state.value))) return;
    try {
      this._state.replace(fromJSON(json, this._catalog), "Recipe of the earlier task opened");
    } catch {
      // It has an operation that this service no longer has; its result is shown all the same.
    }
  }

  async _follow(picture, taskId) {
    picture.change({ taskId, state: "waiting", note: "Looking for it", stop: () => {} });
    await watch(picture);
  }

  async _saveAll(template) {
    const count = await saveZip(this._strip.done, template || "{name}{variant}.{ext}", (now, all) =>
      announce(`${now} of ${all} results are loaded`),
    );
    announce(`${count} results are in darkroom.zip`);
  }
}
