/* Sessions: sign in with an admin key, and sign out. */

import { request } from "../shared/api.js";
import { byId, h } from "../shared/dom.js";
import { notify } from "./notices.js";

/** The session: {needs_key, signed_in, name, read_only}. */
export const session = () => request("/session");

/** Ask for a key until it is accepted; resolves to the session. */
export function signIn() {
  const input = h("input", {
    class: "input mono",
    id: "key",
    type: "password",
    autocomplete: "current-password",
    spellcheck: "false",
    required: true,
    "aria-describedby": "key-help key-error",
  });
  const error = h("p", { class: "error", id: "key-error", role: "alert" });
  const go = h("button", { class: "button primary", type: "submit" }, "Sign in");
  const form = h(
    "form",
    { class: "stack", novalidate: true },
    h("h2", { id: "sign-in-title" }, "Sign in"),
    h(
      "p",
      { class: "soft" },
      "The monitor shows the tasks of all owners and requires a key with the admin right. The key is sent once and not stored in this browser.",
    ),
    h(
      "div",
      { class: "field" },
      h("label", { for: "key" }, "Admin key"),
      input,
      h("p", { class: "help", id: "key-help" }, "python -m app.keys NAME --admin makes one."),
      error,
    ),
    go,
  );
  byId("sign-in").replaceChildren(form);
  byId("sign-in").hidden = false;
  byId("board").hidden = true;
  input.focus();
  return new Promise((resolve) =>
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!input.value.trim()) return refuse("Enter a key.");
      go.disabled = true;
      try {
        const found = await request("/session", {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ key: input.value.trim() }),
        });
        byId("sign-in").hidden = true;
        byId("sign-in").replaceChildren();
        resolve(found);
      } catch (problem) {
        refuse(problem.fields?.get("key") ? `The key ${problem.fields.get("key")}.` : `${problem.message}.`);
      }
      go.disabled = false;
      return undefined;
    }),
  );

  function refuse(text) {
    error.textContent = text[0].toUpperCase() + text.slice(1);
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }
}

/** Show who is signed in, with a button to sign out; `onOut` is called after that. */
export function showSession({ name }, onOut) {
  byId("session").replaceChildren(
    ...(name
      ? [
          h("span", { class: "soft small" }, `Signed in as ${name}`),
          h("button", { class: "button small", type: "button", onclick: () => signOut(onOut) }, "Sign out"),
        ]
      : []),
  );
}

async function signOut(onOut) {
  try {
    await request("/session", { method: "DELETE" });
  } catch (error) {
    return notify(`${error.message}.`, { bad: true });
  }
  return onOut();
}
