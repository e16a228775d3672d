/* The API key, asked for when the service wants one. */

import { Problem, apiKey } from "./api.js";
import { h } from "./dom.js";

let asking = null;

/** Make a call; when the service answers 401, ask for a key and make it again. */
export async function withKey(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      asking ??= ask(error.message).finally(() => { asking = null; });
      if (!(await asking)) throw error;
    }
  }
}

/** Open the panel; resolves to whether a key was given. */
function ask(reason) {
  return new Promise((resolve) => {
    const input = h("input", { type: "password", class: "input", id: "api-key", autocomplete: "off", required: true, "aria-describedby": "key-why" });
    const form = h("form", { class: "key-form stack", onsubmit: (event) => { event.preventDefault(); apiKey.set(input.value.trim()); end(true); } },
      h("h2", { id: "key-title" }, "This service asks for a key"),
      h("p", { class: "soft small", id: "key-why" }, `It says: ${reason}. The key stays in this tab and is forgotten with it.`),
      h("div", { class: "field" }, h("label", { for: "api-key" }, "API key"), input),
      h("div", { class: "row end" },
        h("button", { type: "button", class: "button", onclick: () => end(false) }, "Not now"),
        h("button", { type: "submit", class: "button primary" }, "Go on")));
    const dialog = h("dialog", { "aria-labelledby": "key-title", oncancel: () => end(false) }, form);
    function end(isGiven) {
      dialog.close();
      dialog.remove();
      resolve(isGiven);
    }
    document.body.append(dialog);
    dialog.showModal();
  });
}
