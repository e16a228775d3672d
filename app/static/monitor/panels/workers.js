/* The workers and their running tasks, and workers that died. */

import { byId, h } from "../../shared/dom.js";
import { ago, bytes, count, duration } from "../../shared/format.js";
import { nothing } from "../notices.js";

/** Show the workers of `/workers`; returns the number of slots of those alive. */
export function showWorkers(workers) {
  const alive = workers.filter((worker) => !worker.gone);
  const gone = workers.length - alive.length;
  byId("workers-count").textContent = `${count(alive.length)} alive${gone ? `, ${count(gone)} gone` : ""}`;
  const place = byId("workers");
  const focused = document.activeElement?.closest("#workers a")?.getAttribute("href");
  place.replaceChildren(...workers.map(card));
  if (!workers.length)
    place.append(
      h("li", { class: "nobody" }, nothing("worker", "No workers are running", "Tasks wait until one is started: python -m worker")),
    );
  if (focused) place.querySelector(`a[href="${focused}"]`)?.focus();
  place.setAttribute("aria-busy", "false");
  return alive.reduce((sum, worker) => sum + (worker.slots ?? 0) - (worker.slots_lost ?? 0), 0);
}

function card(worker) {
  return h(
    "li",
    { class: "worker", "data-gone": worker.gone },
    h(
      "div",
      { class: "who" },
      h("h3", { class: "mono" }, worker.name),
      h("p", { class: "badge", "data-status": worker.gone ? "FAILURE" : "SUCCESS" }, worker.gone ? "Gone" : "Alive"),
      h("p", { class: "soft small" }, `${worker.gone ? "last seen" : "seen"} ${ago(worker.last_beat_at)}`),
    ),
    worker.slots === null ? h("p", { class: "soft small" }, "No more details are known.") : facts(worker),
  );
}

function facts(worker) {
  const running = worker.running ?? [];
  const slots = h(
    "span",
    { class: "slots", "aria-hidden": "true" },
    Array.from({ length: Math.min(worker.slots, 32) }, (_, i) =>
      h("i", { "data-slot": i < running.length ? "busy" : i >= worker.slots - worker.slots_lost ? "lost" : "free" }),
    ),
  );
  const list = running.slice(0, 8).map((id) => h("a", { class: "mono", href: `#task-${id}`, "aria-label": `Task ${id}` }, id.slice(0, 8)));
  const entries = [
    [
      worker.gone ? "Was working on" : "Working on",
      running.length
        ? h("span", { class: "row tight" }, list, running.length > 8 ? `and ${running.length - 8} more` : "")
        : h("span", { class: "soft" }, "nothing"),
    ],
    [
      "Slots",
      h(
        "span",
        { class: "row tight" },
        slots,
        `${Math.min(running.length, worker.slots)} of ${worker.slots}${worker.slots_lost ? `, ${worker.slots_lost} lost` : ""}`,
      ),
    ],
    ["Done", `${count(worker.done)}${worker.failed ? `, ${count(worker.failed)} failed` : ""}`],
    ["Memory", bytes(worker.rss_bytes)],
    ["Up", duration((Date.parse(worker.last_beat_at) - Date.parse(worker.started_at)) / 1000)],
    ["Version", worker.version],
  ];
  return h(
    "dl",
    {},
    entries.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}
