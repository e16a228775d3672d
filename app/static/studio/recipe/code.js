/* The present recipe as code: curl, Python, JavaScript, JSON, and a preset. */

import { announce, copyText, h, icon } from "../../shared/dom.js";
import { curl, javascript, python } from "./snippets.js";
import { toJSON, toTOML } from "./state.js";

const COPIED_MS = 1800;

/** Name -> the text of a context: {value, snippet}. */
const LANGUAGES = {
  curl: ({ snippet }) => curl(snippet),
  Python: ({ snippet }) => python(snippet),
  JavaScript: ({ snippet }) => javascript(snippet),
  JSON: ({ value }) => JSON.stringify(toJSON(value), null, 2),
  Preset: ({ value }) => `# For the file of PRESETS_FILE.\n${toTOML("my-preset", value)}`,
};

export class Code {
  /** `context` returns {value, snippet}: the recipe, and what `snippets.js` needs. */
  constructor(context) {
    this._context = context;
    this._language = "curl";
    this._text = h("pre", { class: "code-text", tabIndex: 0, role: "region", "aria-label": "The recipe as code" });
    this._buttons = Object.keys(LANGUAGES).map((name) =>
      h(
        "button",
        { type: "button", class: "button quiet small", "aria-pressed": String(name === "curl"), onclick: () => this._choose(name) },
        name,
      ),
    );
    const copy = this._copyButton("Copy code", () => this._write());
    const link = this._copyButton("Copy link to the recipe", () => location.href);
    this.element = h(
      "details",
      { class: "code-of-recipe", ontoggle: () => this.render() },
      h("summary", {}, "Code"),
      h("div", { class: "row tight", role: "group", "aria-label": "Language" }, this._buttons),
      this._text,
      h("div", { class: "row tight" }, copy, link),
    );
  }

  /** Show the present recipe, if this is open. */
  render() {
    if (this.element.open) this._text.textContent = this._write();
  }

  _write() {
    return LANGUAGES[this._language](this._context());
  }

  _choose(name) {
    this._language = name;
    for (const button of this._buttons) button.setAttribute("aria-pressed", String(button.textContent === name));
    this.render();
  }

  _copyButton(label, write) {
    const words = h("span", {}, label);
    const onclick = async () => {
      await copyText(write());
      words.textContent = "Copied";
      announce(`${label}: copied`);
      setTimeout(() => {
        words.textContent = label;
      }, COPIED_MS);
    };
    return h("button", { type: "button", class: "button small", onclick }, icon("copy"), words);
  }
}
