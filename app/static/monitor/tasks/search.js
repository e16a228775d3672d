/* The search field: it opens a task by its id, or else filters the list by a text. */

import { byId, h, icon } from "../../shared/dom.js";

const ID = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/i;
const LONGEST = 100;

/** Build the search field, which also accepts a URL with a task id. */
export function buildSearch(filters) {
  const input = h("input", {
    class: "input",
    id: "search-text",
    type: "search",
    placeholder: "Name, error, tag, id or request id",
    value: filters.picked.q,
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "search-error",
  });
  const error = h("p", { class: "error", id: "search-error", role: "alert" });
  byId("search").append(
    h("label", { for: "search-text", class: "visually-hidden" }, "Search tasks"),
    input,
    h("button", { class: "button", type: "submit", "aria-label": "Find" }, icon("search")),
    error,
  );
  const find = () => {
    const text = input.value.trim();
    const id = text.match(ID);
    error.textContent = id || text.length <= LONGEST ? "" : `Enter at most ${LONGEST} characters.`;
    input.setAttribute("aria-invalid", String(Boolean(error.textContent)));
    if (id) location.hash = `task-${id[0].toLowerCase()}`;
    else if (!error.textContent) filters.pick("q", text);
  };
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    find();
  });
  input.addEventListener("search", () => input.value || find());
  input.addEventListener("keydown", (event) => event.key === "Escape" && !input.value && input.blur());
}

/** Show the text of the filter in the search field. */
export function showSearch(filters) {
  const input = byId("search-text");
  if (document.activeElement !== input || !filters.picked.q) input.value = filters.picked.q;
}

export function focusSearch() {
  byId("search-text").focus();
  byId("search-text").select();
}
