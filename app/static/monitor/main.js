/* The entry point of the monitor: session, polling, events and the parts of the page. */

import { apiKey, Problem, request } from "../shared/api.js";
import { byId, h, icon } from "../shared/dom.js";
import { cancel, remove, retry, retryAll, sendAgain, sentence } from "./actions.js";
import { catalog } from "./catalog.js";
import { TaskPage } from "./drawer/drawer.js";
import { Feed } from "./feed.js";
import { listenToKeys } from "./keys.js";
import { nothing } from "./notices.js";
import { alarmsOf, showAlarms } from "./panels/alarms.js";
import { buildCharts, showCharts } from "./panels/charts.js";
import { Failures } from "./panels/failures.js";
import { showFigures, showQueue } from "./panels/figures.js";
import { buildFolds } from "./panels/folds.js";
import { Groups } from "./panels/groups.js";
import { showWorkers } from "./panels/workers.js";
import { session, showSession, signIn } from "./session.js";
import { canBe } from "./tasks/bulk.js";
import { Current } from "./tasks/current.js";
import { Filters } from "./tasks/filters.js";
import { buildSearch, focusSearch, showSearch } from "./tasks/search.js";
import { TaskTable } from "./tasks/table.js";

const INTERVAL_MS = 3000;
const BUSY_INTERVAL_MS = 1000;

class Monitor {
  /** @type {(() => void) | undefined} */
  onRefused;

  constructor(isReadOnly, hasKeys) {
    this.isReadOnly = isReadOnly;
    this.range = "hour";
    const actions = isReadOnly ? null : { retry, cancel, remove, sendAgain };
    this.filters = new Filters(() => this.filtered());
    this.table = new TaskTable(this.filters, actions);
    this.table.onError = (error) => this.refused(error);
    this.current = new Current(this.table);
    this.page = new TaskPage(actions, {
      beside: (id, by) => this.current.beside(id, by),
      pick: (name, value) => this.filters.choose(name, value),
      closed: (id) => this.current.focus(id),
      gone: (id) => this.table.drop(id),
      hasKeys,
    });
    this.feed = new Feed(
      (event) => this.handle(event),
      () => this.lookAtAll(),
      (error) => this.refused(error),
    );
    if (hasKeys) this.filters.offerKeys();
    if (!isReadOnly) this.filters.add(retryAllButton(this.filters));
    this.groups = new Groups(hasKeys, {
      by: () => this.look(),
      pick: (name, value) => this.filters.chooseOnly(name, value),
    });
    this.failures = new Failures(!isReadOnly, (...filter) => this.filters.chooseOnly(...filter));
    buildSearch(this.filters);
    buildFolds(() => this.look());
    buildCharts((range) => {
      this.range = range;
      this.look();
    });
    listenToKeys(this.keys(actions), isReadOnly);
    byId("read-only").hidden = !isReadOnly;
    // Rows and the drawer use the meaning of error codes.
    catalog().then(
      () => this.table.redraw(),
      () => {},
    );
  }

  /** What the keys do. */
  keys(actions) {
    const { current, table, page } = this;
    return {
      move: (by) => current.move(by),
      open: () => current.row && page.open(current.id),
      select: () => actions && current.row && table.selection.toggle(current.id, !current.row.box.checked),
      retry: () => actions && current.row && canBe("retry", current.row.record) && retry(current.row.record),
      search: focusSearch,
      clear: () => actions && table.selection.clear(),
      step: (by) => page.step(by),
      retryShown: () => page.retry(),
    };
  }

  filtered() {
    showSearch(this.filters);
    this.filters.showCounts(this.tasks);
    return this.guarded(this.table.reset());
  }

  handle(event) {
    this.table.handle(event);
    this.page.handle(event);
    if (event.data.status) this.soon ??= setTimeout(() => this.look(), BUSY_INTERVAL_MS);
  }

  async start() {
    byId("board").hidden = false;
    this.isOn = true;
    this.feed.start();
    this.page.follow();
    this.lookAtAll();
    this.timer = setInterval(() => document.hidden || this.look(), INTERVAL_MS);
  }

  stop() {
    this.isOn = false;
    clearInterval(this.timer);
    this.feed.stop();
    byId("task").close();
    byId("board").hidden = true;
  }

  lookAtAll() {
    this.look();
    this.page.look();
    return this.guarded(this.table.reset());
  }

  /** Load the state of the queue and of the workers. */
  look() {
    clearTimeout(this.soon);
    this.soon = null;
    return this.guarded(
      Promise.all([request(`/stats?range=${this.range}&by=${this.groups.by}`), request("/workers")]).then(([stats, { workers }]) => {
        showTrouble(null);
        this.feed.answered(true);
        const slots = showWorkers(workers);
        showFigures(stats, workers.length ? slots : 0);
        showAlarms(alarmsOf(stats, workers), stats.now.paused_at ? 1 : 0);
        this.groups.show(stats.groups);
        this.table.counted(Object.values(stats.now.tasks).reduce((sum, each) => sum + each, 0));
        this.tasks = stats.now.tasks;
        this.filters.showCounts(this.tasks);
        showQueue(stats.now, this.isReadOnly, () => this.look());
        return Promise.all([byId("history").open && showCharts(stats), this.failures.look(this.range, stats.now.tasks.FAILURE)]);
      }),
    );
  }

  async guarded(work) {
    await work.catch((error) => this.refused(error));
  }

  refused(error) {
    if (error instanceof Problem && [401, 403].includes(error.status)) this.onRefused?.();
    else if (this.isOn) {
      showTrouble(error);
      showAlarms([], 1);
      this.feed.answered(false);
    }
  }
}

function retryAllButton(filters) {
  return h(
    "button",
    { class: "button small", type: "button", onclick: () => retryAll(filters.query()) },
    icon("retry"),
    "Retry all failed",
  );
}

function showTrouble(error) {
  byId("trouble").hidden = !error;
  const text = error ? `${sentence(error.message)} These figures may be old. Trying again every ${INTERVAL_MS / 1000} seconds.` : "";
  if (byId("trouble").textContent !== text)
    byId("trouble").replaceChildren(...(error ? [h("p", { class: "notice bad", role: "alert" }, text)] : []));
}

async function whoseSession() {
  try {
    return await session();
  } catch {
    byId("trouble").hidden = false;
    byId("trouble").replaceChildren(
      h("div", { class: "panel" }, nothing("cut", "The service does not answer", "The page tries again automatically.")),
    );
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
    return whoseSession();
  }
}

apiKey.ignore(); // the monitor uses a session instead of a key

let monitor = null;

async function run() {
  let found = await whoseSession();
  showTrouble(null);
  if (found.needs_key && !found.signed_in) {
    byId("connection").hidden = true;
    showSession({ name: null }, null);
    found = await signIn();
  }
  byId("connection").hidden = false;
  monitor ??= new Monitor(found.read_only, found.needs_key);
  monitor.onRefused = again;
  showSession(found, again);
  monitor.start();
}

/** Start again when the session has ended. */
function again() {
  if (!monitor?.isOn) return;
  monitor.stop();
  run();
}

run();
