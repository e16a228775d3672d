/* Search in the page: a dialog with a field and the list of what it finds. */

import { byId, h } from "../shared/dom.js";
import { entriesOf, search } from "./entries.js";

const MOST_FOUND = 40;

export class Search {
  /** `button` opens the search in `text`; so do Ctrl+K, Cmd+K and /. */
  constructor(text, button) {
    this._text = text;
    this._dialog = byId("search");
    this._query = byId("query");
    this._list = byId("found");
    this._none = byId("found-none");
    /** The index, made when it is first needed. */
    this._entries = null;
    this._found = [];
    this._at = 0;
    this._marked = null;
    button.addEventListener("click", () => this._open());
    document.addEventListener("keydown", (event) => this._shortcut(event));
    this._query.addEventListener("input", () => this._show());
    this._query.addEventListener("keydown", (event) => this._key(event));
    this._list.addEventListener("click", (event) => {
      const option = event.target.closest("li");
      if (option) this._go(Array.from(this._list.children).indexOf(option));
    });
    this._dialog.addEventListener("click", (event) => {
      if (event.target === this._dialog) this._dialog.close();
    });
  }

  _shortcut(event) {
    const isTyping = event.target.matches?.("input, textarea, select, [contenteditable]");
    const isControlK = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k";
    const isSlash = event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (!isControlK && !isSlash) return;
    event.preventDefault();
    this._open();
  }

  _open() {
    this._entries ??= entriesOf(this._text);
    if (!this._dialog.open) this._dialog.showModal();
    this._query.focus();
    this._query.select();
    this._show();
  }

  /** List what is found. */
  _show() {
    this._found = search(this._entries, this._query.value, MOST_FOUND);
    this._list.replaceChildren(...this._found.map(option));
    this._list.scrollTop = 0;
    this._query.setAttribute("aria-expanded", String(this._found.length > 0));
    this._none.hidden = this._found.length > 0 || !this._query.value.trim();
    this._select(0);
  }

  _select(at) {
    this._at = at;
    for (const [number, each] of Array.from(this._list.children).entries()) each.setAttribute("aria-selected", String(number === at));
    const selected = this._list.children[at];
    if (selected) this._query.setAttribute("aria-activedescendant", selected.id);
    else this._query.removeAttribute("aria-activedescendant");
    selected?.scrollIntoView({ block: "nearest" });
  }

  _key(event) {
    const count = this._found.length;
    const next = { ArrowDown: this._at + 1, ArrowUp: this._at - 1 + count }[event.key];
    if (next !== undefined && count) this._select(next % count);
    else if (event.key === "Enter" && count) this._go(this._at);
    else return;
    event.preventDefault();
  }

  /** Close the dialog and go to what was found, in closed parts of the page as well. */
  _go(at) {
    const { element } = this._found[at];
    this._dialog.close();
    for (let part = element.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
    const place = element.closest("[id]");
    if (location.hash !== `#${place.id}`) location.hash = place.id;
    element.scrollIntoView({ block: element === place ? "start" : "center" });
    this._marked?.classList.remove("marked");
    element.classList.add("marked");
    this._marked = element;
    element.tabIndex = -1;
    element.focus({ preventScroll: true });
  }
}

function option({ name, kind, where, text }, number) {
  return h(
    "li",
    { id: `found-${number}`, role: "option" },
    h("span", { class: "name mono" }, name),
    h("span", { class: "kind" }, where ? `${kind} · ${where}` : kind),
    h("span", { class: "text" }, text),
  );
}
