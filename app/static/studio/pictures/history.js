/* The tasks of this browser, in local storage: what was requested, when, and the outcome. */

import { Problem, request } from "../../shared/api.js";
import { announce, h, icon } from "../../shared/dom.js";
import { ago } from "../../shared/format.js";
import { revokeLater, thumbUrl } from "./picture.js";

const STORED = "darkroom-tasks";
const MOST = 100;
const SHOWN = 8;

/** Statuses that will change, and how often they are asked for. */
const UNDER_WAY = ["PENDING", "STARTED"];
const ASK_AGAIN_MS = 2000;

/** Concurrent requests for task states when the page opens. */
const ASKED_AT_ONCE = 4;

export class History {
  /** `onOpen` gets an entry: {id, name, at, summary, fields, overlay, thumb, status}. */
  constructor(place, clear, onOpen) {
    this._place = place;
    this._clear = clear;
    this._onOpen = onOpen;
    this._isWhole = false;
    this.entries = stored();
    clear.addEventListener("click", () => this._empty());
    this._show();
  }

  add(entry) {
    this.entries = [entry, ...this.entries].slice(0, MOST);
    this._keep();
  }

  /** Store the status of a task. */
  mark(id, status) {
    const entry = this.entries.find((each) => each.id === id);
    if (!entry || entry.status === status) return;
    entry.status = status;
    this._keep();
  }

  /** Load the status of each task that has not expired, and go on with those that have not ended. */
  async refresh() {
    await this._askAll(this.entries.filter(({ status }) => status !== "EXPIRED"));
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
      if (!document.hidden) await this._askAll(this.entries.filter(({ status }) => UNDER_WAY.includes(status)));
    }
  }

  async _askAll(open) {
    await Promise.all(
      Array.from({ length: ASKED_AT_ONCE }, async () => {
        for (let entry = open.shift(); entry; entry = open.shift()) await this._ask(entry);
      }),
    );
  }

  async _ask(entry) {
    try {
      this.mark(entry.id, (await request(`/task-status/${entry.id}`)).status);
    } catch (error) {
      if (error instanceof Problem && error.status === 404) this.mark(entry.id, "EXPIRED");
    }
  }

  _keep() {
    try {
      localStorage.setItem(STORED, JSON.stringify(this.entries));
    } catch {
      // The storage is full: remove the thumbnails.
      for (const entry of this.entries) entry.thumb = null;
    }
    this._show();
  }

  _empty() {
    this.entries = [];
    this._keep();
    announce("The list of earlier tasks is empty");
  }

  _show() {
    this._clear.hidden = this.entries.length === 0;
    for (const image of this._place.querySelectorAll("img")) revokeLater(image.src);
    if (this.entries.length === 0) {
      this._place.replaceChildren(h("p", { class: "empty small" }, icon("clock"), "Your tasks are listed here, in this browser only."));
      return;
    }
    const shown = this._isWhole ? this.entries : this.entries.slice(0, SHOWN);
    const rest = this.entries.length - shown.length;
    this._place.replaceChildren(
      h(
        "ul",
        { class: "earlier" },
        shown.map((entry) => this._row(entry)),
      ),
      rest > 0
        ? h(
            "button",
            {
              type: "button",
              class: "button quiet small rest",
              onclick: () => {
                this._isWhole = true;
                this._show();
              },
            },
            `Show ${rest} more`,
          )
        : "",
    );
  }

  _row(entry) {
    const isExpired = entry.status === "EXPIRED";
    const status = { PENDING: "waiting", STARTED: "running", SUCCESS: "done", FAILURE: "failed", REVOKED: "stopped", EXPIRED: "expired" }[
      entry.status
    ];
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "entry", "data-task": entry.id, disabled: isExpired, onclick: () => this._onOpen(entry) },
        entry.thumb ? h("img", { src: thumbUrl(entry.thumb), alt: "" }) : h("span", { class: "no-thumb" }, icon("picture")),
        h("span", { class: "about" }, h("b", {}, entry.name), h("span", { class: "soft small" }, entry.summary)),
        h("span", { class: "badge", "data-status": entry.status }, status),
        h("time", { class: "soft small numbers", datetime: entry.at }, ago(entry.at)),
      ),
    );
  }
}

function stored() {
  try {
    return JSON.parse(localStorage.getItem(STORED)) ?? [];
  } catch {
    return [];
  }
}
