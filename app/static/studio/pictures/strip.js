/* The strip of thumbnails of all pictures with their states. */

import { announce, h, icon } from "../../shared/dom.js";
import { PictureList, TOLD } from "./list.js";
import { thumbUrl } from "./picture.js";
import { TEMPLATE } from "./zip.js";

export class Strip {
  /** `on` has callbacks for `select` and `remove` (with a picture), `add` and `downloadAll` (with a template of names). */
  constructor(place, on) {
    this.pictures = [];
    this.selected = null;
    this._on = on;
    this._tiles = new Map();
    this._list = h("ul", { class: "tiles" });
    this._all = h(
      "button",
      { type: "button", class: "button small", hidden: true, onclick: () => on.downloadAll(this._template.value) },
      icon("download"),
      "Download all",
    );
    this._template = h("input", {
      class: "input template",
      "aria-label": "Names in the ZIP file: {name}, {variant}, {n} and {ext} are replaced",
      title: "Names in the ZIP file: {name}, {variant}, {n} and {ext} are replaced",
      value: TEMPLATE,
      hidden: true,
    });
    this._table = new PictureList((picture) => this.select(picture));
    this._switch = h(
      "button",
      { type: "button", class: "button quiet small", "aria-pressed": "false", hidden: true, onclick: () => this._showList() },
      "List",
    );
    this._place = place;
    place.append(
      this._list,
      this._table.element,
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "button small", onclick: () => on.add() }, icon("plus"), "Add pictures"),
        this._switch,
        this._all,
        this._template,
      ),
    );
  }

  add(picture) {
    this.pictures.push(picture);
    const tile = this._tile(picture);
    this._tiles.set(picture, tile);
    this._list.append(tile);
    picture.addEventListener("change", () => this._mark(picture));
    this._mark(picture);
    this._place.hidden = false;
  }

  select(picture) {
    this.selected = picture;
    for (const [each, tile] of this._tiles) {
      const button = tile.querySelector(".tile");
      if (each === picture) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    this._on.select(picture);
  }

  remove(picture) {
    const index = this.pictures.indexOf(picture);
    this.pictures.splice(index, 1);
    this._tiles.get(picture).remove();
    this._tiles.delete(picture);
    announce(`${picture.name} removed`);
    this._place.hidden = this.pictures.length === 0;
    const next = this.pictures[Math.min(index, this.pictures.length - 1)] ?? null;
    if (this.selected === picture) this.select(next);
    this._tiles.get(next)?.querySelector(".tile").focus();
    this._on.remove(picture);
    this._showAll();
  }

  get done() {
    return this.pictures.filter(({ state }) => state === "done");
  }

  _showAll() {
    this._all.hidden = this._template.hidden = this.done.length < 2;
    this._switch.hidden = this.pictures.length < 2;
    this._table.show(this.pictures, this.selected);
  }

  /** Show the pictures as a list, or as tiles again. */
  _showList() {
    const isList = this._table.element.hidden;
    this._switch.setAttribute("aria-pressed", String(isList));
    this._table.element.hidden = !isList;
    this._list.hidden = isList;
    this._table.show(this.pictures, this.selected);
  }

  _tile(picture) {
    const tile = h(
      "button",
      { type: "button", class: "tile", title: picture.name, onclick: () => this.select(picture) },
      h("span", { class: "shot" }, icon("picture")),
      h("span", { class: "mark", "aria-hidden": "true" }),
      h("span", { class: "visually-hidden words" }),
    );
    const bin = h(
      "button",
      { type: "button", class: "remove", "aria-label": `Remove ${picture.name}`, onclick: () => this._on.remove && this.remove(picture) },
      icon("close"),
    );
    return h("li", {}, tile, bin);
  }

  _mark(picture) {
    const tile = this._tiles.get(picture);
    if (!tile) return;
    tile.dataset.state = picture.state;
    tile.style.setProperty("--share", picture.share);
    tile.toggleAttribute("data-stale", picture.isStale === true);
    tile.querySelector(".words").textContent = `${picture.name}, ${TOLD[picture.state]}${picture.isStale ? " with another recipe" : ""}`;
    const shot = tile.querySelector(".shot");
    if (picture.thumb && !shot.querySelector("img")) shot.replaceChildren(h("img", { src: thumbUrl(picture.thumb), alt: "" }));
    this._showAll();
  }
}
