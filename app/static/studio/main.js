/* The entry point of the studio: it connects the recipe, the pictures, the preview and the page. */

import { apiKey, request } from "../shared/api.js";
import { announce, byId, h } from "../shared/dom.js";
import { signInFirst, withKey } from "./key.js";
import { Desk } from "./pictures/desk.js";
import { keepOverlay, keptOverlay } from "./pictures/keep.js";
import { Preview } from "./pictures/preview.js";
import { Code } from "./recipe/code.js";
import { recipeOf } from "./recipe/presets.js";
import { Recipe } from "./recipe/recipe.js";
import { expected } from "./recipe/snippets.js";
import { decode, empty, encode, fromJSON, RecipeState, toJSON } from "./recipe/state.js";
import { listenToKeys } from "./shortcuts.js";
import { editBoxes } from "./view/boxes.js";
import { Stage } from "./view/stage.js";

/** Time in which changes of the address are put together; browsers allow few. */
const ADDRESS_MS = 300;

/** The name of the recipe in local storage. */
const STORED = "darkroom-recipe";

class Studio {
  constructor(catalog, presets) {
    this._catalog = catalog;
    this._presets = presets;
    this._state = new RecipeState(stored(catalog));
    this._recipe = new Recipe(this._state, catalog, presets, {
      firstParameters: (operation) => this._first(operation),
      onOverlay: () => {
        keepOverlay(this._recipe.overlay.file);
        this._changed();
      },
    });
    this._preview = new Preview((value) => this._recipe.taskOf(value));
    this._stage = new Stage(byId("stage"), catalog.input, this._preview, {
      choose: () => this._desk.choose(),
      again: (picture) => this._desk.develop([picture]),
      compare: (picture) => this._desk.compare(picture),
      address: (url) => this._desk.takeAddress(url),
      sample: (name) => this._desk.takeSample(name),
      isCurrent: (picture) => picture.isMadeBy(picture.compared ?? this._recipe.task),
      edited: () => this._changed(),
      isReport: () => this._state.value.steps.at(-1)?.operation === "inspect",
    });
    this._desk = new Desk(this._state, this._recipe, this._stage, catalog, () => this._changed());
    this._code = new Code(() => this._context());
    this._build();
    this._state.addEventListener("change", (/** @type {CustomEvent} */ { detail }) => {
      if (detail) announce(detail);
      linkError = "";
      this._changed();
    });
    addEventListener("hashchange", () => this._follow());
    this._restore();
  }

  /** Show what the last visit left. */
  async _restore() {
    this._recipe.overlay.show(await keptOverlay());
    await this._desk.restore();
    await this._takeTask();
    this._changed();
  }

  /** Use the upload of the task in the address, once. */
  async _takeTask() {
    const id = new URLSearchParams(location.search).get("task");
    if (!/^[0-9a-f-]{36}$/.test(id ?? "")) return;
    history.replaceState(null, "", `${location.pathname}${location.hash}`);
    try {
      await this._desk.takeTask(id);
    } catch (error) {
      linkError = `The picture of the task cannot be used: ${error.message}`;
      announce(linkError);
    }
  }

  _build() {
    byId("recipe").replaceChildren(this._recipe.element);
    byId("recipe").removeAttribute("aria-busy");
    byId("recipe").addEventListener("draw", (/** @type {CustomEvent} */ event) => {
      if (event.detail) editBoxes(event.detail, this._stage, this._state, this._preview);
    });
    byId("code").replaceChildren(this._code.element);
    byId("clear-steps").addEventListener("click", () => this._recipe.clear());
    byId("undo").addEventListener("click", () => this._state.undo());
    byId("redo").addEventListener("click", () => this._state.redo());
    byId("toast-undo").addEventListener("click", () => this._state.undo());
    listenToKeys({
      undo: () => this._state.undo(),
      redo: () => this._state.redo(),
      add: () => this._recipe.choose(),
      open: () => this._desk.choose(),
      develop: () => byId("develop").click(),
    });
    byId("sheet").addEventListener("click", () => {
      const isFolded = byId("sheet").closest(".recipe").classList.toggle("folded");
      byId("sheet").setAttribute("aria-expanded", String(!isFolded));
      byId("sheet").textContent = isFolded ? "Unfold" : "Fold";
    });
    if (apiKey.get()) {
      byId("forget").hidden = false;
      byId("forget").addEventListener("click", () => {
        apiKey.forget();
        location.reload();
      });
    }
  }

  /** Show what follows from a change of the recipe or of the pictures. */
  _changed() {
    if (!this._desk) return;
    const { value } = this._state;
    byId("undo").disabled = !this._state.canUndo;
    byId("redo").disabled = !this._state.canRedo;
    const isRemoval = /removed$/.test(this._state.lastLabel);
    const words = isRemoval ? this._state.lastLabel : linkError;
    byId("toast").hidden = !words;
    byId("toast-undo").hidden = !isRemoval;
    byId("toast-words").textContent = words;
    const { width, height } = this._stage.picture ?? {};
    if (width) this._recipe.pipeline.limit(width, height);
    this._code.render();
    this._desk.label();
    this._showPreview();
    if (value !== this._saved) this._save(value);
  }

  _showPreview() {
    const { picture } = this._stage;
    const task = this._recipe.task;
    const text = JSON.stringify([picture?.id, task.fields, task.overlay?.name, this._stage.edited]);
    if (text === this._asked) return;
    this._asked = text;
    if (picture?.isMadeBy(task) || this._stage.edited !== null) this._preview.drop();
    else this._preview.ask(picture, this._state.value);
    this._stage.show();
  }

  /** Keep the recipe in the address, to bookmark and share, and in this browser. */
  _save(value) {
    this._saved = value;
    localStorage.setItem(STORED, JSON.stringify(toJSON(value)));
    clearTimeout(this._timer);
    this._timer = setTimeout(() => {
      const link =
        value.steps.length || value.preset || value.variants.length || Object.keys(value.output).length ? `#r=${encode(value)}` : "";
      if (link !== location.hash) history.replaceState(null, "", `${location.pathname}${location.search}${link}`);
    }, ADDRESS_MS);
  }

  /** Use the recipe of an address that was pasted or followed. */
  _follow() {
    const value = fromAddress(this._catalog);
    this._changed();
    if (value && JSON.stringify(toJSON(value)) !== JSON.stringify(toJSON(this._state.value)))
      this._state.replace(value, "Recipe of the link opened");
  }

  /** Resize begins with the picture's own width and keeps its proportions; the API alone would stretch it to 100 x 100. */
  _first(operation) {
    if (operation !== "resize") return {};
    const { width } = this._stage.picture ?? {};
    return { ...(width ? { width } : {}), fit: "inside" };
  }

  /** What the code is made of. */
  _context() {
    const { value } = this._state;
    const names = this._desk.own.map(({ name }) => name);
    const { fields, overlay } = this._recipe.task;
    const picture = this._stage.picture;
    const preset = value.preset && this._presets.find(({ preset }) => preset === value.preset);
    const [first = picture?.name ?? "photo.jpg"] = names;
    const known = names.length <= 1 && picture?.isMadeBy(this._recipe.task) && picture.outputs;
    const made = known && {
      results: known.map(({ name }) => name),
      isPicture: known.length === 1 && !known[0].variant && known[0].format !== "json",
    };
    const snippet = {
      origin: location.origin,
      names: names.length ? names : [first],
      overlay: overlay?.name ?? null,
      fields,
      ...(made || expected(preset ? recipeOf(preset) : toJSON(value), first)),
    };
    return { value, snippet };
  }
}

/** What is wrong with the recipe of the address. */
let linkError = "";

/** Return the recipe of the address, or null if it has none; say what is wrong with one that cannot be read. */
function fromAddress(catalog) {
  const link = location.hash.match(/^#r=(.*)$/)?.[1];
  if (!link) return null;
  try {
    return fromJSON(decode(link), catalog);
  } catch (error) {
    linkError = `The recipe of the link cannot be used: ${error.message}`;
    announce(linkError);
    return null;
  }
}

/** Return the recipe of the address, or else the last one of this browser. */
function stored(catalog) {
  const value = fromAddress(catalog);
  if (value) return value;
  try {
    return fromJSON(JSON.parse(localStorage.getItem(STORED) ?? "{}"), catalog);
  } catch {
    return empty(); // of another version of the service
  }
}

async function begin() {
  try {
    const [catalog] = await Promise.all([withKey(() => request("/operations")), signInFirst()]);
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
      h("div", { class: "empty", role: "alert" }, h("p", {}, `The operations cannot be loaded: ${error.message}`), again),
    );
  }
}

begin();
