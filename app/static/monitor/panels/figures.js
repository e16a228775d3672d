/* The current figures of the queue, in large type. */

import { byId, h, icon } from "../../shared/dom.js";
import { clock, count, duration } from "../../shared/format.js";
import { pause, resume } from "../actions.js";
import { ask } from "../notices.js";

const NAMES = {
  waiting: "Waiting",
  running: "Running",
  rate: "Throughput",
  failed: "Failure rate",
  waited: "Waiting, p95",
  ran: "Running, p95",
};

const parts = new Map();

function build() {
  const items = Object.entries(NAMES).map(([key, title]) => {
    const [value, note] = [h("span", { class: "value" }, "–"), h("span", { class: "note" })];
    parts.set(key, { value, note });
    return h("div", { "data-figure": key }, h("dt", {}, title), h("dd", {}, value, note));
  });
  byId("figures").replaceChildren(...items);
}

function put(key, value, note, isBad = false) {
  const part = parts.get(key);
  if (part.value.textContent !== value) part.value.textContent = value;
  if (part.note.textContent !== note) part.note.textContent = part.note.title = note; // it may be cut off
  part.value.parentElement.toggleAttribute("data-bad", isBad);
}

/** Show the statistics of `/stats` and the number of slots. */
export function showFigures({ now, total, range, points, step_s: step }, slots) {
  if (!parts.size) build();
  const over = range === "day" ? "last day" : "last hour";
  put("waiting", count(now.waiting), now.oldest_waiting_s === null ? "nothing waits" : `oldest ${duration(now.oldest_waiting_s)}`);
  put("running", count(now.running), slots === null ? "" : `${count(slots)} ${slots === 1 ? "slot" : "slots"}`, slots === 0);
  const recent = lately(points, step);
  const ended = count(Object.values(total.ended).reduce((sum, each) => sum + each, 0));
  put("rate", rate(recent.perSecond), `over ${recent.seconds < 180 ? `${recent.seconds} s` : duration(recent.seconds)}`);
  put(
    "failed",
    total.failure_rate === null ? "–" : percent(total.failure_rate),
    `${count(total.ended.FAILURE)} of ${ended} runs in the ${over}`,
    total.failure_rate > 0.05,
  );
  put("waited", duration(total.waiting_s?.p95), quantiles(total.waiting_s));
  put("ran", duration(total.running_s?.p95), quantiles(total.running_s));
  byId("figures").setAttribute("aria-busy", "false");
}

const quantiles = (found) => (found ? `p50 ${duration(found.p50)}, longest ${duration(found.max)}` : "none ended");

/** {perSecond, seconds}: ended tasks in the last two points, because the last one may have just started, and their length. */
function lately(points, step) {
  const [before, last] = points.slice(-2);
  const ended = Object.values(before.ended)
    .concat(Object.values(last.ended))
    .reduce((sum, each) => sum + each, 0);
  const seconds = Math.round(step + Math.max(1, (Date.now() - Date.parse(last.at)) / 1000));
  return { perSecond: ended / seconds, seconds };
}

/** Format a rate as tasks per second, or per minute if there are few. */
export function rate(perSecond) {
  return perSecond >= 1 || perSecond === 0 ? `${+perSecond.toPrecision(3)}/s` : `${+(perSecond * 60).toPrecision(2)}/min`;
}

export function percent(share) {
  return `${+(share * 100).toPrecision(share < 0.1 ? 2 : 3)} %`;
}

/* Pause and resume the queue. */

let shown;

/** Show whether the queue is paused, with a button to change it unless `isReadOnly`; `onChange` is called after a change. */
export function showQueue({ paused_at: pausedAt }, isReadOnly, onChange) {
  const key = `${pausedAt} ${isReadOnly}`;
  if (shown === key) return;
  shown = key;
  const hadFocus = document.activeElement?.dataset.queue !== undefined;
  const button = (name, verb, symbol, act) =>
    h(
      "button",
      { class: "button small", type: "button", "data-queue": name, onclick: async () => (await act()) && onChange() },
      icon(symbol),
      verb,
    );
  byId("paused").hidden = !pausedAt;
  byId("paused").replaceChildren(
    ...(pausedAt
      ? [
          h("p", {}, h("b", {}, `The queue has been paused since ${clock(pausedAt)}. `), "Running tasks continue; new uploads wait."),
          ...(isReadOnly ? [] : [button("resume", "Resume the queue", "play", resume)]),
        ]
      : []),
  );
  byId("queue").replaceChildren(...(pausedAt || isReadOnly ? [] : [button("pause", "Pause the queue", "pause", sureToPause)]));
  if (hadFocus) document.querySelector("[data-queue]")?.focus();
}

async function sureToPause() {
  const isSure = await ask(
    "Pause the queue?",
    "Workers finish their running tasks and start no others. Tasks that wait too long still fail.",
    "Pause",
  );
  return isSure && pause();
}
