/* Why tasks fail: groups by code, message and operation, with actions on all tasks of a group. */

import { request } from "../../shared/api.js";
import { byId, h, icon } from "../../shared/dom.js";
import { ago, clock, count, words } from "../../shared/format.js";
import { deleteGroup, retryGroup } from "../actions.js";
import { catalog } from "../catalog.js";
import { sparkline } from "./groups.js";

const INTERVAL_MS = 30_000;

export class Failures {
  /** `pick` is called with the name of a filter and its value. Without `canAct`, groups have no actions. */
  constructor(canAct, pick) {
    this._canAct = canAct;
    this._pick = pick;
    this._loadedMs = 0;
    this._known = "";
    this._codes = {};
  }

  /** Load the groups if they may have changed: `failed` is the number of failed tasks. */
  async look(range, failed) {
    const known = `${range} ${failed}`;
    if (known === this._known && performance.now() - this._loadedMs < INTERVAL_MS) return;
    [this._known, this._loadedMs] = [known, performance.now()];
    try {
      this._codes = (await catalog()).error_codes;
      this._show(await request(`/failures?range=${range}`));
    } catch (error) {
      this._known = "";
      throw error;
    }
  }

  _show(found) {
    const focused = document.activeElement?.closest("#failures [data-key]")?.getAttribute("data-key");
    byId("failures-count").textContent = found.count ? `${found.complete ? "" : "the last "}${count(found.count)} failed` : "";
    byId("failures").replaceChildren(
      found.groups.length
        ? h(
            "ul",
            { class: "causes" },
            found.groups.map((group) => this._group(group, found.since)),
          )
        : h("p", { class: "soft small none" }, "No task has failed in this time."),
    );
    if (focused)
      byId("failures")
        .querySelector(`[data-key="${CSS.escape(focused)}"]`)
        ?.focus();
  }

  _group(group, since) {
    const { retry_helps: helps, error_code: code } = group;
    const described = this._codes[code];
    return h(
      "li",
      { class: "cause", "data-failure": group.id },
      h("p", { class: "cause-count numbers" }, count(group.count)),
      h(
        "div",
        { class: "cause-text" },
        h(
          "button",
          {
            type: "button",
            class: "link",
            "data-key": `show ${group.id}`,
            title: group.example,
            onclick: () => this._pick("failure", group.id, group.message),
          },
          group.message,
        ),
        h(
          "p",
          { class: "soft small" },
          described && h("a", { href: described.docs, title: described.meaning }, words(code)),
          group.operation && ` in ${group.operation.split(", ").map(words).join(", ")}`,
          ` · ${times(group)}`,
        ),
      ),
      h("div", { class: "cause-history", "aria-hidden": "true" }, sparkline(group.history)),
      this._canAct &&
        h(
          "div",
          { class: "row cause-actions" },
          !helps && h("span", { class: "soft small" }, "A retry does not help"),
          this._button(group, "retry", helps ? `Retry ${these(group)}` : "Retry", helps ? "primary" : "quiet", () =>
            retryGroup(group, since),
          ),
          this._button(group, "bin", "Delete", "quiet", () => deleteGroup(group, since)),
        ),
    );
  }

  _button(group, symbol, text, style, act) {
    const label = `${text}: ${group.message}`;
    const onclick = async () => {
      await act();
      this._known = "";
    };
    return h(
      "button",
      { type: "button", class: `button small ${style}`, "data-key": `${symbol} ${group.id}`, "aria-label": label, onclick },
      icon(symbol),
      text,
    );
  }
}

const these = (group) => (group.count === 1 ? "this one" : `these ${count(group.count)}`);

function times(group) {
  const last = ago(group.last_at);
  return group.count === 1 ? last : `first ${clock(group.first_at)}, last ${last}`;
}
