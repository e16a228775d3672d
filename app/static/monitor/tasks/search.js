/* Find a task by its id. */

import { byId, h, icon } from "../../shared/dom.js";

const ID = /[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/i;

/** Build the search field, which also accepts a URL with a task id. */
export function buildSearch() {
  const input = h("input", {
    class: "input",
    id: "search-id",
    type: "search",
    placeholder: "Full id of a task",
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "search-error",
  });
  const error = h("p", { class: "error", id: "search-error", role: "alert" });
  byId("search").append(
    h("label", { for: "search-id", class: "visually-hidden" }, "Find a task by its full id"),
    input,
    h("button", { class: "button", type: "submit", "aria-label": "Find" }, icon("search")),
    error,
  );
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const found = input.value.match(ID);
    error.textContent = found || !input.value.trim() ? "" : "Enter all 36 characters of the id.";
    input.setAttribute("aria-invalid", String(Boolean(error.textContent)));
    if (found) location.hash = `task-${found[0].toLowerCase()}`;
  });
}
