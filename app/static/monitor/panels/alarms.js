/* What needs somebody: a banner, and the number of alarms in the title and the icon of the page. */

import { byId, h, icon } from "../../shared/dom.js";
import { count, duration } from "../../shared/format.js";
import { percent } from "./figures.js";

const FULL = 0.8;
const FAILING = 0.05;
/** Fewer tasks say nothing about a share of failures. */
const LEAST_ENDED = 20;
const LONG_WAIT_S = 60;

/** Return a sentence for each alarm, from `/stats` and the workers of `/workers`. */
export function alarmsOf({ now, total, range, storage }, workers) {
  const alive = workers.filter((worker) => !worker.gone).length;
  const ended = Object.values(total.ended).reduce((sum, each) => sum + each, 0);
  return [
    alive === 0 && `No worker is running; ${count(now.waiting)} ${now.waiting === 1 ? "task waits" : "tasks wait"}.`,
    storage !== "ok" && `Storage: ${storage}. Uploads are refused, and tasks wait.`,
    now.waiting > FULL * now.limit && `The queue is nearly full: ${count(now.waiting)} of ${count(now.limit)}.`,
    ended >= LEAST_ENDED &&
      total.failure_rate > FAILING &&
      `${percent(total.failure_rate)} of ${count(ended)} runs failed in the last ${range}.`,
    now.oldest_waiting_s > LONG_WAIT_S && !now.paused_at && `The oldest task has waited ${duration(now.oldest_waiting_s)}.`,
  ].filter(Boolean);
}

/** Show alarms, or none; an error and a paused queue, which are shown elsewhere, count as `others`. */
export function showAlarms(sentences, others = 0) {
  const text = sentences.join("\n");
  const place = byId("alarms");
  place.hidden = sentences.length === 0;
  if (place.dataset.text !== text) {
    place.dataset.text = text;
    place.replaceChildren(
      icon("alert"),
      h(
        "ul",
        {},
        sentences.map((sentence) => h("li", {}, sentence)),
      ),
    );
  }
  mark(sentences.length + others);
}

let marked = 0;

/** Show a number in the title and on the icon of the page. */
function mark(number) {
  const title = document.title.replace(/^\(\d+\) /, "");
  document.title = number ? `(${number}) ${title}` : title;
  if (number === marked) return;
  marked = number;
  const link = /** @type {HTMLLinkElement} */ (document.querySelector("link[rel=icon]"));
  link.dataset.plain ??= link.href;
  if (!number) {
    link.href = link.dataset.plain;
    return;
  }
  const canvas = Object.assign(document.createElement("canvas"), { width: 32, height: 32 });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#c02c15";
  pen.arc(16, 16, 16, 0, 2 * Math.PI);
  pen.fill();
  Object.assign(pen, { fillStyle: "#fff", font: "bold 22px sans-serif", textAlign: "center", textBaseline: "middle" });
  pen.fillText(String(number), 16, 17);
  canvas.toBlob((blob) => {
    if (number === marked) link.href = URL.createObjectURL(blob);
  });
}
