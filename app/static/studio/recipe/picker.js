/* The dialog of operations: groups, and a search in names, help texts and what people call them. */

import { h, icon } from "../../shared/dom.js";
import { words } from "../../shared/format.js";
import { FILE_WORDS, GROUPS, WORDS } from "./guide.js";

/** Build the dialog; `on.pick` is called with the chosen operation, `on.file` to choose a file format. Open it with `showModal`. */
export function picker(operations, on) {
  const search = h("input", {
    type: "search",
    class: "input",
    id: "operation-search",
    placeholder: "thumbnail, hide a face, logo, webp …",
    autocomplete: "off",
    autofocus: true,
    oninput: () => filter(),
    onkeydown: (event) => fromSearch(event),
  });
  const known = Object.values(GROUPS).flat();
  const ofGroup = (name) =>
    GROUPS[name]
      ? GROUPS[name].map((each) => operations.find(({ operation }) => operation === each)).filter(Boolean)
      : operations.filter(({ operation }) => !known.includes(operation));
  const groups = [...Object.keys(GROUPS), "Others"].map((name) => {
    const found = ofGroup(name).map((operation) => ({ operation, element: entry(operation) }));
    return { entries: found, title: h("li", { class: "group", hidden: found.length === 0 }, name) };
  });
  const entries = groups.flatMap((group) => group.entries);
  const toFile = h(
    "li",
    { hidden: true },
    h(
      "button",
      {
        type: "button",
        onclick: () => {
          dialog.close();
          on.file();
        },
      },
      h("b", {}, "File format and quality"),
      h("span", {}, "Format, quality and size of the file are below the steps, under File."),
    ),
  );
  const none = h("p", { class: "soft none", hidden: true }, "No operation matches.");
  const list = h(
    "ul",
    { class: "operations", onkeydown: (event) => fromList(event) },
    groups.flatMap(({ title, entries: found }) => [title, ...found.map(({ element }) => element)]),
    toFile,
  );
  const dialog = h(
    "dialog",
    { class: "picker", "aria-labelledby": "picker-title" },
    h(
      "div",
      { class: "picker-head" },
      h(
        "div",
        { class: "row" },
        h("h2", { id: "picker-title" }, "Add an operation"),
        h(
          "button",
          { type: "button", class: "button quiet small close", "aria-label": "Close", onclick: () => dialog.close() },
          icon("close"),
        ),
      ),
      h("label", { class: "visually-hidden", for: "operation-search" }, "Search the operations"),
      h("div", { class: "search" }, icon("search"), search),
    ),
    list,
    none,
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => {
    search.value = "";
    filter();
  });

  function entry(operation) {
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", onclick: () => pick(operation) },
        h("b", {}, words(operation.operation)),
        h("span", {}, operation.description.split("\n\n")[0]),
      ),
    );
  }

  function pick(operation) {
    dialog.close();
    on.pick(operation);
  }

  function filter() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { operation, element } of entries) element.hidden = !wanted.every((word) => textOf(operation).includes(word));
    toFile.hidden = !wanted.some((word) => word.length > 2 && FILE_WORDS.some((name) => name.startsWith(word)));
    for (const { title, entries: found } of groups) title.hidden = wanted.length > 0 || found.length === 0;
    // While one searches, matches in names come first, then those in what people call them.
    const rank = ({ operation }) => {
      const [first = ""] = wanted;
      if (words(operation.operation).toLowerCase().startsWith(first)) return 0;
      return (WORDS[operation.operation] ?? "").split(" ").some((word) => word.startsWith(first)) ? 1 : 2;
    };
    if (wanted.length) list.append(...[...entries].sort((one, other) => rank(one) - rank(other)).map(({ element }) => element), toFile);
    else list.append(...groups.flatMap(({ title, entries: found }) => [title, ...found.map(({ element }) => element)]), toFile);
    none.hidden = entries.some(({ element }) => !element.hidden) || !toFile.hidden;
  }

  function fromSearch(event) {
    const first = list.querySelector("li:not([hidden]) button");
    if (event.key === "Enter" && first) {
      event.preventDefault();
      first.click();
    }
    if (event.key === "ArrowDown" && first) {
      event.preventDefault();
      first.focus();
    }
  }

  function fromList(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const buttons = [...list.querySelectorAll("li:not([hidden]) button")];
    const next = buttons.indexOf(document.activeElement) + by;
    (next < 0 ? search : buttons[Math.min(next, buttons.length - 1)]).focus();
  }

  return dialog;
}

/** The searched text: names and help texts of an operation and its parameters. */
function textOf({ operation, description, parameters }) {
  return [words(operation), operation, description, ...Object.keys(parameters), WORDS[operation] ?? ""].join(" ").toLowerCase();
}
