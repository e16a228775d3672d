/* A task's details in a drawer over the table, with the URL fragment `#task-<id>`. */

import { Problem, request } from "../../shared/api.js";
import { announce, byId, h, icon } from "../../shared/dom.js";
import { nothing } from "../notices.js";
import { STATUSES } from "../tasks/filters.js";
import { deliveries, record as facts, failure, outputs } from "./record.js";
import { timeline } from "./timeline.js";

const INTERVAL_MS = 400;

export class TaskPage {
  /** @type {string | undefined} */
  shown;
  /** @type {string | undefined} */
  status;

  constructor(actions) {
    this.actions = actions;
    this.dialog = byId("task");
    this.dialog.addEventListener("close", () => this.closed());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    addEventListener("hashchange", () => this.follow());
  }

  /** Open the task of the URL fragment, or close the drawer. */
  follow() {
    const id = location.hash.match(/^#task-([0-9a-f-]{36})$/)?.[1] ?? null;
    if (id === this.id) return;
    this.id = id;
    if (!id) return void this.dialog.close();
    this.dialog.replaceChildren(this.head(null), h("div", { class: "body" }, h("p", { class: "soft" }, "Loading the task")));
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
    this.look();
  }

  closed() {
    this.id = null;
    if (location.hash.startsWith("#task-")) history.pushState(null, "", location.pathname + location.search);
  }

  /** Handle an event of the feed. */
  hear(event) {
    if (event.data.task_id === this.id) this.lookSoon();
  }

  lookSoon() {
    this.timer ??= setTimeout(() => this.look(), INTERVAL_MS);
  }

  async look() {
    clearTimeout(this.timer);
    this.timer = null;
    const { id } = this;
    if (!id) return;
    try {
      const [task, told] = await Promise.all([request(`/tasks/${id}`), request(`/tasks/${id}/timeline`)]);
      if (id === this.id) this.show(task, told.events);
    } catch (error) {
      if (id === this.id) this.refuse(error);
    }
  }

  show(task, events) {
    if (this.shown === task.task_id && this.status !== task.status) announce(`The task is ${STATUSES[task.status].toLowerCase()}.`);
    [this.shown, this.status] = [task.task_id, task.status];
    const focused = this.dialog.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const [head, foot, body] = [
      this.head(task),
      this.foot(task),
      h(
        "div",
        { class: "body stack" },
        progress(task),
        failure(task),
        outputs(task),
        facts(task),
        timeline(task, events),
        deliveries(task),
      ),
    ];
    const { scrollTop } = this.dialog;
    this.dialog.replaceChildren(head, ...(foot ? [foot] : []), body);
    this.dialog.scrollTop = scrollTop;
    if (focused) (this.dialog.querySelector(`[data-key="${focused}"]`) ?? this.dialog.querySelector("[data-key=close]")).focus();
  }

  refuse(error) {
    const gone = error instanceof Problem && error.status === 404;
    this.dialog.replaceChildren(
      this.head(null),
      h(
        "div",
        { class: "body" },
        nothing(
          "cut",
          gone ? "There is no such task" : "The task cannot be shown",
          gone ? "The id is wrong, or the task has expired." : error.message,
          gone ? null : h("button", { class: "button", type: "button", onclick: () => this.look() }, "Try again"),
        ),
      ),
    );
    this.dialog.querySelector("[data-key=close]").focus();
  }

  head(task) {
    return h(
      "header",
      { class: "drawer-head" },
      h(
        "div",
        { class: "names" },
        h("h2", { id: "task-title" }, task ? task.file.name || task.file.url || "Unnamed" : "Task"),
        h("p", { class: "mono soft small" }, this.id),
      ),
      task && h("span", { class: "badge", "data-status": task.status }, STATUSES[task.status]),
      h(
        "button",
        { class: "button quiet", type: "button", "data-key": "close", "aria-label": "Close", onclick: () => this.dialog.close() },
        icon("close"),
      ),
    );
  }

  foot(task) {
    if (!this.actions) return null;
    const ended = !["PENDING", "STARTED"].includes(task.status);
    const offered = [
      ended && task.status !== "SUCCESS" && ["retry", "Retry", "retry", "primary"],
      !ended && ["cancel", "Cancel", "stop", ""],
      ended && task.webhook?.id && ["sendAgain", "Send webhook again", "send", ""],
      task.status !== "STARTED" && ["remove", "Delete", "bin", "danger"],
    ].filter(Boolean);
    return h(
      "div",
      { class: "row drawer-actions" },
      offered.map(([key, verb, symbol, style]) =>
        h(
          "button",
          { class: `button small ${style}`, type: "button", "data-key": key, onclick: () => this.act(key, task) },
          icon(symbol),
          verb,
        ),
      ),
    );
  }

  async act(key, task) {
    if (!(await this.actions[key](task))) return;
    if (key === "remove") this.dialog.close();
    else this.look();
  }
}

function progress(task) {
  if (task.status === "PENDING") return task.position ? h("p", { class: "notice" }, `Number ${task.position} in the queue.`) : null;
  if (task.status !== "STARTED") return null;
  const bar = h("i", {});
  bar.style.setProperty("--share", task.progress);
  return h(
    "div",
    { class: "stack" },
    h("span", { class: "bar" }, bar),
    h("p", { class: "soft small" }, `${Math.round(task.progress * 100)} % done, by ${task.worker}`),
  );
}
