/* A task's details in a drawer over the table, with the URL fragment `#task-<id>`. */

import { Problem, request } from "../../shared/api.js";
import { announce, byId, h, icon } from "../../shared/dom.js";
import { printable } from "../../shared/format.js";
import { canRetryHelp, catalog } from "../catalog.js";
import { nothing } from "../notices.js";
import { canBe } from "../tasks/bulk.js";
import { STATUSES } from "../tasks/filters.js";
import { again } from "./again.js";
import { pictures } from "./pictures.js";
import { deliveries, record as facts, failure } from "./record.js";
import { timeline } from "./timeline.js";

const INTERVAL_MS = 400;

export class TaskPage {
  /** @type {string | undefined} */
  shown;
  /** @type {any} */
  task;

  /**
   * `on` has `beside` for the next and previous task of the list, `pick` for a filter, `closed`, `gone` for a task that is
   * deleted, and whether the service `hasKeys`.
   */
  constructor(actions, on) {
    this.actions = actions;
    this.on = on;
    this.dialog = byId("task");
    this.content = h("div", {});
    this.dialog.append(this.content);
    this.dialog.addEventListener("close", () => this.closed());
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    addEventListener("hashchange", () => this.follow());
  }

  open(id) {
    location.hash = `task-${id}`;
  }

  /** Open the task of the URL fragment, or close the drawer. */
  follow() {
    const id = location.hash.match(/^#task-([0-9a-f-]{36})$/)?.[1] ?? null;
    if (id === this.id) return;
    this.id = id;
    if (!id) return void this.dialog.close();
    if (!this.dialog.open || !this.task)
      this.fill(this.head(null), h("div", { class: "body" }, h("p", { class: "soft" }, "Loading the task")));
    if (!this.dialog.open) this.dialog.showModal();
    this.dialog.scrollTop = 0;
    this.look();
  }

  closed() {
    const { id } = this;
    this.id = null;
    this.task = null;
    if (location.hash.startsWith("#task-")) history.pushState(null, "", location.pathname + location.search);
    if (id) this.on.closed(id);
  }

  /** Show the task that is `by` rows further in the list, with no new entry in the browser's history. */
  step(by) {
    const id = this.on.beside(this.id, by);
    if (!id) return;
    history.replaceState(null, "", `#task-${id}`);
    this.follow();
  }

  /** Filter the list, which the drawer covers. */
  pick(name, value) {
    this.dialog.close();
    this.on.pick(name, value);
  }

  /** Handle an event of the feed. */
  handle(event) {
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
      const [task, told] = await Promise.all([
        request(`/tasks/${id}`),
        request(`/tasks/${id}/timeline`),
        catalog().catch(() => null), // without it, less is known about the parameters and the error
      ]);
      if (id === this.id) this.show(task, told);
    } catch (error) {
      if (id === this.id) this.refuse(error);
    }
  }

  show(task, told) {
    if (this.shown === task.task_id && this.task && this.task.status !== task.status)
      announce(`The task is ${STATUSES[task.status].toLowerCase()}.`);
    [this.shown, this.task] = [task.task_id, task];
    const { scrollTop } = this.dialog;
    this.fill(
      this.head(task),
      this.foot(task),
      h(
        "div",
        { class: "body stack" },
        progress(task),
        failure(task),
        pictures(task, this.content),
        facts(task, (name, value) => this.pick(name, value)),
        timeline(task, told.events),
        deliveries(task),
      ),
    );
    this.dialog.scrollTop = scrollTop;
  }

  /** Replace what is shown; the focus stays on the element with the same key. */
  fill(...parts) {
    const focused = this.content.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    this.content.replaceChildren(...parts.filter(Boolean));
    if (focused)
      (this.content.querySelector(`[data-key="${focused}"]:not(:disabled)`) ?? this.content.querySelector("[data-key=close]")).focus();
  }

  refuse(error) {
    const gone = error instanceof Problem && error.status === 404;
    this.task = null;
    if (gone) this.on.gone(this.id);
    this.fill(
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
    this.content.querySelector("[data-key=close]").focus();
  }

  head(task) {
    const button = (key, label, symbol, run, disabled = false) =>
      h(
        "button",
        { class: "button quiet", type: "button", "data-key": key, "aria-label": label, title: label, onclick: run, disabled },
        icon(symbol),
      );
    return h(
      "header",
      { class: "drawer-head" },
      h(
        "div",
        { class: "names" },
        h("h2", { id: "task-title" }, task ? printable(task.file.name || task.file.url || "Unnamed") : "Task"),
        h("p", { class: "mono soft small" }, this.id),
      ),
      task && h("span", { class: "badge", "data-status": task.status }, STATUSES[task.status]),
      h(
        "span",
        { class: "steps" },
        button("previous", "Previous task (K)", "previous", () => this.step(-1), !this.on.beside(this.id, -1)),
        button("next", "Next task (J)", "next", () => this.step(1), !this.on.beside(this.id, 1)),
        button("close", "Close", "close", () => this.dialog.close()),
      ),
    );
  }

  foot(task) {
    const ended = !["PENDING", "STARTED"].includes(task.status);
    const button = (key, verb, symbol, style = "") =>
      h(
        "button",
        { class: `button small ${style}`, type: "button", "data-key": key, onclick: () => this.act(key, task) },
        icon(symbol),
        verb,
      );
    const offers = Boolean(this.actions);
    return h(
      "div",
      { class: "row drawer-actions" },
      offers && canBe("retry", task) && button("retry", "Retry", "retry", canRetryHelp(task) ? "primary" : ""),
      offers && canBe("cancel", task) && button("cancel", "Cancel", "stop"),
      offers && ended && task.webhook?.id && button("sendAgain", "Send webhook again", "send"),
      again(task, this.on.hasKeys),
      offers && canBe("remove", task) && button("remove", "Delete", "bin", "danger"),
    );
  }

  /** Retry the task that is shown, if that is possible. */
  retry() {
    if (this.actions && this.task && canBe("retry", this.task)) this.act("retry", this.task);
  }

  async act(key, task) {
    if (!(await this.actions[key](task))) return;
    if (key === "remove") {
      this.on.gone(task.task_id);
      this.dialog.close();
    } else this.look();
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
