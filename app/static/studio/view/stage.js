/* The stage: the selected picture in each of its states, its preview and the boxes that are edited on it. */

import { h, icon } from "../../shared/dom.js";
import { bytes } from "../../shared/format.js";
import { loaded, revokeLater } from "../pictures/picture.js";
import { resultOf } from "../pictures/result.js";
import { BoxEditor } from "./editor.js";
import { Viewer } from "./viewer.js";

const SAMPLES = ["coffee", "cat", "astronaut"];

const ENDED_BADLY = ["failed", "refused", "stopped", "expired"];

export class Stage {
  /**
   * `on` has callbacks for `choose` (open the file dialog), `again` (process a picture again), `compare` (formats),
   * `address` and `sample` (use a picture by its URL or name), `edited` (boxes are no longer edited),
   * `isReport` (whether the recipe makes a report, not a picture),
   * and `isCurrent` (whether the result of a picture is what the recipe makes of it).
   */
  constructor(place, formats, preview, on) {
    this._place = place;
    this._on = on;
    this._preview = preview;
    this._picture = null;
    /** The picture and the result whose details are shown. */
    this._of = null;
    this._detailed = "";
    /** @type {{key: number, editor: BoxEditor, url: string | null} | null} */
    this._editing = null;
    this._viewer = new Viewer();
    this._render = () => this.show();
    this._build(formats);
    preview.addEventListener("change", this._render);
    preview.addEventListener("busy", () => this._showBusy());
    this.show();
  }

  get picture() {
    return this._picture;
  }

  select(picture) {
    this.endEditing();
    this._picture?.removeEventListener("change", this._render);
    this._picture = picture;
    this._picture?.addEventListener("change", this._render);
    this.show();
  }

  /** The step whose boxes are edited, or null. */
  get edited() {
    return this._editing?.key ?? null;
  }

  /** Edit boxes on an image: `before` is its URL, `isOwned` whether it is revoked afterwards; see `BoxEditor`. */
  async edit(key, before, isOwned, options) {
    this.endEditing();
    const editor = new BoxEditor(this._viewer, { ...options, done: () => this.endEditing() });
    this._editing = { key, editor, url: isOwned ? before : null };
    await this._look(before, null);
    return editor;
  }

  endEditing() {
    if (!this._editing) return;
    const { editor, url } = this._editing;
    this._editing = null;
    editor.close();
    if (url) revokeLater(url);
    this._on.edited();
    this.show();
  }

  /** Scroll to the message about the picture. */
  focusBanner() {
    this._banner.scrollIntoView({ block: "nearest" });
    this._banner.focus({ preventScroll: true });
  }

  async show() {
    const picture = this._picture;
    this._nothing.hidden = picture !== null;
    this._work.hidden = picture === null;
    if (!picture) return;
    this._name.textContent = picture.name;
    const size = picture.width ? `${picture.width} × ${picture.height} px` : "";
    this._about.textContent = [size, picture.file ? bytes(picture.file.size) : ""].filter(Boolean).join(" · ");
    this._compare.hidden = !(picture.file || picture.address) || picture.isForeign || picture.isBusy || this._on.isReport();
    this._showProgress(picture);
    this._showBusy();
    this._showBanner(picture);
    await this._showResult(picture);
  }

  _showProgress(picture) {
    this._progress.hidden = !picture.isBusy;
    this._viewer.element.classList.toggle("developing", picture.isBusy);
    if (!picture.isBusy) return;
    this._note.textContent = picture.note;
    this._bar.setAttribute("aria-valuenow", String(Math.round(picture.share * 100)));
    const isEndless = ["held", "waiting"].includes(picture.state) || (picture.state === "working" && picture.share === 0);
    this._bar.classList.toggle("endless", isEndless);
    this._bar.style.setProperty("--share", picture.share);
  }

  /** A thin bar while a preview is made; what was shown before stays. */
  _showBusy() {
    this._thin.hidden = !this._preview.isBusy || Boolean(this._picture?.isBusy);
    this._previewNote.textContent = this._preview.note;
  }

  _showBanner(picture) {
    this._banner.hidden = !ENDED_BADLY.includes(picture.state) || picture.isPlaced === true;
    if (this._banner.hidden) return;
    const fields = picture.state === "refused" && picture.problem?.fields?.size ? [...picture.problem.fields] : [];
    const sentences = fields.map(([field, message]) => h("p", {}, h("b", {}, field), ` ${message}`));
    this._banner.classList.toggle("bad", picture.state !== "stopped" && picture.state !== "expired");
    this._banner.replaceChildren(
      icon("alert"),
      h("div", {}, sentences.length ? sentences : h("p", {}, picture.note)),
      (picture.file || picture.address) && !picture.isForeign
        ? h("button", { type: "button", class: "button small", onclick: () => this._on.again(picture) }, "Try again")
        : "",
    );
  }

  async _showResult(picture) {
    const output = picture.state === "done" ? picture.output : null;
    const isCurrent = this._on.isCurrent(picture);
    if (output && !(await this._load(picture, output))) return;
    if (this._picture !== picture) return;
    this._showDetails(picture, output, isCurrent);
    if (this._editing) return;
    const preview = this._preview.shown?.picture === picture && !isCurrent ? this._preview.shown : null;
    const other = picture.outputs[picture.other];
    const before = other && !preview ? other.url : picture.url;
    const after = preview?.url ?? (output && !output.report ? output.url : null);
    this._tag(preview ? "Preview" : other ? nameOf(output) : "After", other && !preview ? nameOf(other) : "Before");
    await this._look(before, after);
  }

  async _load(picture, output) {
    try {
      await loaded(output);
      if (picture.outputs[picture.other]) await loaded(picture.outputs[picture.other]);
      if (output.format === "json") output.report ??= JSON.parse(await output.blob.text());
      return true;
    } catch (error) {
      picture.change({ state: "failed", note: error.message });
      return false;
    }
  }

  _showDetails(picture, output, isCurrent) {
    const key = output ? `${picture.taskId} ${picture.chosen} ${picture.other}` : "";
    if (this._detailed !== key || this._of !== picture) {
      [this._detailed, this._of] = [key, picture];
      this._result.replaceChildren(output ? resultOf(picture, (facts) => picture.change(facts)) : "");
    }
    this._stale.hidden = !output || isCurrent;
  }

  _tag(after, before) {
    this._viewer.name(before, after);
  }

  async _look(before, after) {
    const isShown = await this._viewer.show(before, after);
    this._blank.hidden = isShown && Boolean(before || after);
    this._blank.classList.toggle("aside", Boolean(before && after && !isShown));
    this._blank.lastChild.textContent =
      before || after
        ? "This browser cannot show this format, but the service can process it."
        : this._picture?.address
          ? "The service fetches this picture. It is shown here once it is processed."
          : "The picture is not stored in this browser.";
  }

  /** Other ways to begin: an address, or one of the samples. */
  _ways() {
    const address = h("input", {
      type: "url",
      class: "input",
      id: "address",
      placeholder: "https://…",
      required: true,
      "aria-label": "Address of a picture",
    });
    const form = h(
      "form",
      {
        class: "row tight address",
        onsubmit: (event) => {
          event.preventDefault();
          this._on.address(address.value);
          address.value = "";
        },
      },
      address,
      h("button", { type: "submit", class: "button" }, "Use the address"),
    );
    const sample = (name) =>
      h(
        "button",
        { type: "button", class: "sample", "aria-label": `Sample: ${name}`, onclick: () => this._on.sample(`${name}.jpg`) },
        h("img", {
          src: new URL(`../../samples/${name}-small.webp`, import.meta.url).pathname,
          alt: "",
          loading: "lazy",
          width: 72,
          height: 54,
        }),
      );
    return h(
      "div",
      { class: "stack ways" },
      form,
      h("p", { class: "row tight samples" }, h("span", { class: "soft small" }, "or try"), SAMPLES.map(sample)),
    );
  }

  _build(formats) {
    this._nothing = h(
      "div",
      { class: "drop-zone" },
      h("span", { class: "lens", "aria-hidden": "true" }, icon("picture")),
      h("h2", {}, "Drop a picture to begin"),
      h("p", { class: "soft" }, "One or many, or a folder; or paste, or"),
      h("button", { type: "button", class: "button primary", id: "choose", onclick: () => this._on.choose() }, "Choose pictures"),
      this._ways(),
      h("p", { class: "soft small formats" }, formats.map((format) => format.toUpperCase()).join(" · ")),
    );
    this._note = h("p", { class: "note" });
    this._bar = h(
      "div",
      { class: "bar", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" },
      h("i"),
    );
    this._progress = h(
      "div",
      { class: "progress", hidden: true },
      h(
        "div",
        { class: "row" },
        this._note,
        h("button", { type: "button", class: "button small", onclick: () => this._picture.stop() }, "Stop"),
      ),
      this._bar,
    );
    this._thin = h("div", { class: "thin bar endless", hidden: true, "aria-hidden": "true" }, h("i"));
    this._banner = h("div", { class: "notice banner", role: "alert", tabIndex: -1, hidden: true });
    this._blank = h("p", { class: "blank soft", hidden: true }, icon("picture"), h("span"));
    this._name = h("b", { class: "name" });
    this._about = h("span", { class: "soft small numbers" });
    this._previewNote = h("span", { class: "soft small", role: "status" });
    this._compare = h(
      "button",
      { type: "button", class: "button quiet small", onclick: () => this._on.compare(this._picture) },
      "Compare formats",
    );
    this._stale = h(
      "p",
      { class: "notice stale", hidden: true },
      icon("clock"),
      "This result was made with another recipe. Develop makes a new one.",
    );
    this._result = h("div");
    this._work = h(
      "div",
      { class: "work" },
      h("div", { class: "easel" }, this._viewer.element, this._thin, this._blank, this._progress),
      h("div", { class: "row under" }, this._name, this._about, this._previewNote, this._compare, this._viewer.tools),
      this._banner,
      this._stale,
      this._result,
    );
    this._place.append(this._nothing, this._work);
  }
}

function nameOf(output) {
  return output.variant || output.format.toUpperCase();
}
