/* The dialog for the API key, shown when the service requires one. */

import { apiKey, Problem, request } from "../shared/api.js";
import { h } from "../shared/dom.js";

let asking = null;

/** Run a request; after a 401, ask for a key and run it again. */
export async function withKey(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      asking ??= ask(error.message).finally(() => {
        asking = null;
      });
      if (!(await asking)) throw error;
    }
  }
}

/** Ask for the key before anything is sent, if the service requires one and this tab has none. */
export async function signInFirst() {
  if (apiKey.get()) return;
  const { needs_key: needsKey } = await request("/session");
  if (needsKey) await withKey(() => request("/tasks?limit=1"));
}

/** Open the dialog; resolves to whether a key was entered. */
function ask(reason) {
  return new Promise((resolve) => {
    const input = h("input", {
      type: "password",
      class: "input",
      id: "api-key",
      autocomplete: "off",
      required: true,
      "aria-describedby": "key-why",
    });
    const form = h(
      "form",
      {
        class: "key-form stack",
        onsubmit: (event) => {
          event.preventDefault();
          apiKey.set(input.value.trim());
          end(true);
        },
      },
      h("h2", { id: "key-title" }, "This service requires a key"),
      h("p", { class: "soft small", id: "key-why" }, `${reason}. The key is stored in this tab only.`),
      h("div", { class: "field" }, h("label", { for: "api-key" }, "API key"), input),
      h(
        "div",
        { class: "row end" },
        h("button", { type: "button", class: "button", onclick: () => end(false) }, "Not now"),
        h("button", { type: "submit", class: "button primary" }, "Go on"),
      ),
    );
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
