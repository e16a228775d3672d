/* Pausing the queue and letting it go on. */

import { byId, h, icon } from "./dom.js";
import { pause, resume } from "./monitor-actions.js";
import { ask } from "./monitor-notices.js";
import { clock } from "./monitor-times.js";

let shown;

/** Show whether the queue is paused, with a button for the other way unless `isReadOnly`; `onChange` follows a change. */
export function showQueue({ paused_at: pausedAt }, isReadOnly, onChange) {
  const key = `${pausedAt} ${isReadOnly}`;
  if (shown === key) return;
  shown = key;
  const hadFocus = document.activeElement?.dataset.queue !== undefined;
  const button = (name, verb, symbol, act) =>
    h("button", { class: "button small", type: "button", "data-queue": name, onclick: async () => (await act()) && onChange() }, icon(symbol), verb);
  byId("paused").hidden = !pausedAt;
  byId("paused").replaceChildren(...(pausedAt ? [
    h("p", {}, h("b", {}, `The queue is paused since ${clock(pausedAt)}. `), "Running tasks go on; uploads are accepted and wait."),
    ...(isReadOnly ? [] : [button("resume", "Resume the queue", "play", resume)])] : []));
  byId("queue").replaceChildren(...(pausedAt || isReadOnly ? [] : [button("pause", "Pause the queue", "pause", sureToPause)]));
  if (hadFocus) document.querySelector("[data-queue]")?.focus();
}

async function sureToPause() {
  const isSure = await ask("Pause the queue?", "Workers finish what they run and begin nothing new. Tasks that wait longer than they may still fail.", "Pause");
  return isSure && pause();
}
