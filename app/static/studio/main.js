/* The entry point of the studio: pictures, recipe, tasks and results. */

import { request } from "../shared/api.js";
import { announce, byId, h } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { History } from "./history.js";
import { Picture, thumbnail } from "./picture.js";
import { Recipe } from "./recipe.js";
import { save } from "./result.js";
import { developAll, watch, withKey } from "./run.js";
import { Stage, takeFiles } from "./stage.js";
import { Strip } from "./strip.js";

const STATUS = { waiting: "PENDING", working: "STARTED", done: "SUCCESS", failed: "FAILURE", stopped: "REVOKED", expired: "EXPIRED" };

class Studio {
  constructor(catalog, presets) {
    this._button = byId("develop");
    this._recipe = new Recipe(catalog, presets, () => this._label());
    this._intake = takeFiles((files) => this.take(files));
    this._stage = new Stage(byId("stage"), catalog.input, { choose: this._intake.choose, again: (picture) => this.develop([picture]) });
    this._strip = new Strip(byId("pictures"), {
      select: (picture) => {
        this._stage.select(picture);
        byId("stage").scrollIntoView({ block: "nearest" });
      },
      add: this._intake.choose,
      remove: (picture) => {
        picture.discard();
        this._label();
      },
      downloadAll: () => this._saveAll(),
    });
    this._history = new History(byId("history"), byId("clear-history"), (entry) => this._reopen(entry));
    byId("recipe").replaceChildren(this._recipe.element);
    byId("recipe").removeAttribute("aria-busy");
    byId("recipe").addEventListener("draw", (/** @type {CustomEvent} */ { detail }) => this._stage.draw(detail.button, detail.found));
    byId("clear-steps").addEventListener("click", () => this._recipe.clear());
    this._button.addEventListener("click", () => this.develop(this._own.filter(({ isBusy }) => !isBusy)));
    this._label();
    this._history.refresh();
  }

  /** Add pictures and show the first of them. */
  async take(files) {
    const pictures = files.map((file) => new Picture({ file }));
    for (const picture of pictures) this._strip.add(picture);
    if (pictures.length) this._strip.select(pictures[0]);
    announce(pictures.length === 1 ? `${pictures[0].name} is here` : `${pictures.length} pictures are here`);
    this._label();
    // One after the other, because each is decoded completely.
    for (const picture of pictures) {
      picture.addEventListener("change", () => this._follow(picture));
      picture.change({ thumb: await thumbnail(picture.file) });
    }
  }

  async develop(pictures) {
    this._recipe.forgive();
    const { fields, overlayFile: overlay, summary } = this._recipe;
    for (const picture of pictures) picture.isTold = false;
    const running = developAll(pictures, { fields, overlay, summary }, (picture, recipe, id) => this._remember(picture, recipe, id));
    this._label();
    byId("stage").scrollIntoView({ block: "nearest" });
    await running;
    this._label();
  }

  get _own() {
    return (this._strip?.pictures ?? []).filter(({ file }) => file);
  }

  _label() {
    const count = this._own.length;
    const isBusy = this._strip?.pictures.some((picture) => picture.isBusy) ?? false;
    this._button.disabled = count === 0 || isBusy;
    this._button.textContent = isBusy
      ? "Developing …"
      : count === 0
        ? "Choose a picture first"
        : count === 1
          ? "Develop"
          : `Develop ${count} pictures`;
  }

  _follow(picture) {
    if (picture.taskId && STATUS[picture.state]) this._history.mark(picture.taskId, STATUS[picture.state]);
    if (picture.told === picture.state) return;
    picture.told = picture.state;
    if (picture.state === "done") announce(`${picture.name} is done: ${picture.outputs.map((output) => bytes(output.bytes)).join(", ")}`);
    if (picture.state === "refused") this._complain(picture);
    if (picture.state === "failed") announce(`${picture.name}: ${picture.note}`);
    this._label();
  }

  /** Show an error at the fields of the recipe, or else over the picture. */
  _complain(picture) {
    const targets = [...(picture.problem.fields ?? [])].map(([field, message]) => this._recipe.complain(field, message));
    const isPlaced = targets.length > 0 && targets.every(Boolean);
    picture.change({ isTold: isPlaced });
    const [first] = targets.filter(Boolean);
    if (first) this._recipe.reveal(first);
    else if (this._strip.selected === picture) this._stage.focusBanner();
    if (isPlaced) announce(picture.problem.message);
  }

  _remember(picture, recipe, id) {
    this._history.add({
      id,
      name: picture.name,
      at: new Date().toISOString(),
      summary: recipe.summary,
      fields: recipe.fields,
      overlay: recipe.overlay?.name ?? null,
      thumb: picture.thumb,
      status: "PENDING",
    });
  }

  /** Show an earlier task. */
  async _reopen(entry) {
    let picture = this._strip.pictures.find(({ taskId }) => taskId === entry.id);
    if (!picture) {
      picture = new Picture({ name: entry.name, thumb: entry.thumb, entry });
      picture.change({
        taskId: entry.id,
        state: "waiting",
        note: "Looking for it",
        recipe: { ...entry, overlay: entry.overlay && { name: entry.overlay } },
        stop: () => {},
      });
      this._strip.add(picture);
      picture.addEventListener("change", () => this._follow(picture));
    }
    this._strip.select(picture);
    byId("stage").scrollIntoView({ block: "nearest" });
    byId("stage").focus({ preventScroll: true });
    if (picture.entry && !picture.record) await watch(picture);
  }

  async _saveAll() {
    for (const picture of this._strip.done) await save(picture);
    announce("All results are saved");
  }
}

async function begin() {
  try {
    const catalog = await withKey(() => request("/operations"));
    const presets = catalog.presets.length ? (await withKey(() => request("/presets"))).presets : [];
    new Studio(catalog, presets);
  } catch (error) {
    const again = h(
      "button",
      {
        type: "button",
        class: "button",
        onclick: () => {
          byId("recipe").replaceChildren();
          begin();
        },
      },
      "Try again",
    );
    byId("recipe").replaceChildren(
      h("div", { class: "empty", role: "alert" }, h("p", {}, `The operations cannot be had: ${error.message}`), again),
    );
  }
}

begin();
