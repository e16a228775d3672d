/* The dialog of operations, with a search in names and help texts. */

import { h, icon } from "../../shared/dom.js";
import { words } from "./controls.js";

/** Build the dialog; `onPick` is called with the chosen operation. Open it with `showModal`. */
export function picker(operations, onPick) {
  const search = h("input", {
    type: "search",
    class: "input",
    id: "operation-search",
    placeholder: "blur, color, crop …",
    autocomplete: "off",
    autofocus: true,
    oninput: () => filter(),
    onkeydown: (event) => fromSearch(event),
  });
  const entries = operations.map((operation) => ({ operation, element: entry(operation) }));
  const none = h("p", { class: "soft none", hidden: true }, "No operation matches.");
  const list = h(
    "ul",
    { class: "operations", onkeydown: (event) => fromList(event) },
    entries.map(({ element }) => element),
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
    onPick(operation);
  }

  const shown = () => entries.filter(({ element }) => !element.hidden);

  function filter() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { operation, element } of entries) element.hidden = !wanted.every((word) => textOf(operation).includes(word));
    // Matches in names come before matches in help texts.
    const isNamed = ({ operation }) =>
      words(operation.operation)
        .toLowerCase()
        .startsWith(wanted[0] ?? "");
    list.append(
      ...entries.filter(isNamed).map(({ element }) => element),
      ...entries.filter((each) => !isNamed(each)).map(({ element }) => element),
    );
    none.hidden = shown().length > 0;
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
  return [words(operation), operation, description, ...Object.keys(parameters)].join(" ").toLowerCase();
}
