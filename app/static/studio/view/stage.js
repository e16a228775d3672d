/* The input of pictures: by file dialog, drop or paste. */

import { announce, byId, h, icon } from "../shared/dom.js";
import { bytes } from "../shared/format.js";
import { drawOn } from "./drawing.js";
import { loaded } from "./picture.js";
import { resultOf } from "./result.js";
import { Viewer } from "./viewer.js";

/** Listen for pictures; `onFiles` is called with a list. Returns {choose}, which opens the file dialog. */
export function takeFiles(onFiles) {
  const input = h("input", {
    type: "file",
    multiple: true,
    hidden: true,
    id: "files",
    "aria-label": "Pictures",
    onchange: () => {
      onFiles([...input.files]);
      input.value = "";
    },
  });
  document.body.append(input);
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) onFiles(files);
  });
  watchDrops(onFiles);
  return { choose: () => input.click() };
}

function watchDrops(onFiles) {
  const veil = byId("dropping");
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0; // enter and leave are sent for each element under the pointer
  const show = (by) => {
    depth = Math.max(0, depth + by);
    veil.hidden = depth === 0;
  };
  document.addEventListener("dragenter", (event) => {
    if (hasFiles(event)) show(1);
  });
  document.addEventListener("dragleave", (event) => {
    if (hasFiles(event)) show(-1);
  });
  document.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    onFiles([...event.dataTransfer.files]);
  });
}

/* The stage: the selected picture in each of its states. */

const ENDED_BADLY = ["failed", "refused", "stopped", "expired"];

export class Stage {
  /** @type {any} */
  _of = null;

  /** `on` has callbacks for `choose` (open the file dialog) and `again` (process a picture again). */
  constructor(place, formats, on) {
    this._place = place;
    this._on = on;
    this._picture = null;
    this._viewer = new Viewer();
    this._render = () => this._show();
    this._build(formats);
    this._show();
  }

  select(picture) {
    this._stopDrawing?.();
    this._picture?.removeEventListener("change", this._render);
    this._picture = picture;
    this._picture?.addEventListener("change", this._render);
    this._shown = null;
    this._show();
  }

  /** Show the original picture and let the user draw boxes on it. */
  async draw(button, onBox) {
    if (this._stopDrawing) {
      this._stopDrawing();
      return;
    }
    if (!this._picture?.url) {
      announce("Choose a picture first");
      return;
    }
    await this._look(this._picture.url, null);
    button.setAttribute("aria-pressed", "true");
    this._stopDrawing = drawOn(this._viewer, onBox, () => {
      this._stopDrawing = null;
      button.setAttribute("aria-pressed", "false");
      this._shown = null;
      this._show();
    });
    this._place.scrollIntoView({ block: "nearest" });
  }

  /** Scroll to the message about the picture. */
  focusBanner() {
    this._banner.scrollIntoView({ block: "nearest" });
    this._banner.focus({ preventScroll: true });
  }

  async _show() {
    const picture = this._picture;
    this._nothing.hidden = picture !== null;
    this._work.hidden = picture === null;
    if (!picture) return;
    this._name.textContent = picture.name;
    this._about.textContent = picture.file ? bytes(picture.file.size) : "";
    this._showProgress(picture);
    this._showBanner(picture);
    await this._showResult(picture);
  }

  _showProgress(picture) {
    this._progress.hidden = !picture.isBusy;
    this._viewer.element.classList.toggle("developing", picture.isBusy);
    if (!picture.isBusy) return;
    this._note.textContent = picture.note;
    this._bar.setAttribute("aria-valuenow", String(Math.round(picture.share * 100)));
    this._bar.classList.toggle("endless", picture.state === "waiting" || (picture.state === "working" && picture.share === 0));
    this._bar.style.setProperty("--share", picture.share);
  }

  _showBanner(picture) {
    this._banner.hidden = !ENDED_BADLY.includes(picture.state) || picture.isTold === true;
    if (this._banner.hidden) return;
    const fields = picture.state === "refused" && picture.problem?.fields?.size ? [...picture.problem.fields] : [];
    const sentences = fields.map(([field, message]) => h("p", {}, h("b", {}, field), ` ${message}`));
    this._banner.classList.toggle("bad", picture.state !== "stopped" && picture.state !== "expired");
    this._banner.replaceChildren(
      icon("alert"),
      h("div", {}, sentences.length ? sentences : h("p", {}, picture.note)),
      picture.file ? h("button", { type: "button", class: "button small", onclick: () => this._on.again(picture) }, "Try again") : "",
    );
  }

  async _showResult(picture) {
    const output = picture.state === "done" ? picture.output : null;
    const key = output ? `${picture.taskId} ${picture.chosen}` : `${picture.url}`;
    if (this._stopDrawing || (this._shown === key && this._of === picture)) return;
    [this._shown, this._of] = [key, picture];
    if (!output) {
      this._result.replaceChildren();
      await this._look(picture.url, null);
      return;
    }
    try {
      await loaded(output);
      if (output.format === "json") output.report ??= JSON.parse(await output.blob.text());
    } catch (error) {
      picture.change({ state: "failed", note: error.message });
      return;
    }
    if (this._of !== picture) return;
    this._result.replaceChildren(resultOf(picture, (chosen) => picture.change({ chosen })));
    await this._look(picture.url, output.report ? null : output.url);
  }

  async _look(before, after) {
    const isShown = await this._viewer.show(before, after);
    this._blank.hidden = isShown && Boolean(before || after);
    this._blank.lastChild.textContent =
      before || after
        ? "This browser cannot show this format, but the service can process it."
        : "The picture is not stored in this browser.";
  }

  _build(formats) {
    this._nothing = h(
      "div",
      { class: "drop-zone" },
      h("span", { class: "lens", "aria-hidden": "true" }, icon("picture")),
      h("h2", {}, "Drop a picture to begin"),
      h("p", { class: "soft" }, "One or many; or paste, or"),
      h("button", { type: "button", class: "button primary", id: "choose", onclick: () => this._on.choose() }, "Choose pictures"),
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
    this._banner = h("div", { class: "notice banner", role: "alert", tabIndex: -1, hidden: true });
    this._blank = h("p", { class: "blank soft", hidden: true }, icon("picture"), h("span"));
    this._name = h("b", { class: "name" });
    this._about = h("span", { class: "soft small numbers" });
    this._result = h("div");
    this._work = h(
      "div",
      { class: "work" },
      h("div", { class: "easel" }, this._viewer.element, this._blank, this._progress),
      h("div", { class: "row under" }, this._name, this._about, this._viewer.tools),
      this._banner,
      this._result,
    );
    this._place.append(this._nothing, this._work);
  }
}
