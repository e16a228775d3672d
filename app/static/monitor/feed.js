/* The event stream of all tasks, and the state of the connection. */

import { listen } from "../shared/api.js";
import { announce, byId } from "../shared/dom.js";

const WORDS = { connecting: "Connecting", open: "Live", closed: "Reconnecting", old: "Not up to date" };

/** Pass on events; reconnect after an outage and then call `onBack`. */
export class Feed {
  constructor(onEvent, onBack, onRefused) {
    this.onEvent = onEvent;
    this.onBack = onBack;
    this.onRefused = onRefused;
    this.state = "connecting";
    this.isGood = true;
  }

  /** Say whether the last answers were good: with an open stream alone, nothing is live. */
  answered(isGood) {
    if (isGood === this.isGood) return;
    this.isGood = isGood;
    this.show(this.state);
  }

  start() {
    this.stopping = new AbortController();
    listen("/events", this.onEvent, { signal: this.stopping.signal, onState: (state) => this.turn(state) }).catch(this.onRefused);
  }

  stop() {
    this.stopping?.abort();
    this.show("connecting");
  }

  turn(state) {
    const wasAway = this.state === "closed";
    if (state === this.state || this.stopping.signal.aborted) return;
    this.show(state);
    if (state === "closed") announce("The connection is lost. Reconnecting.");
    else if (wasAway) announce("Connected again.");
    if (state === "open" && wasAway) this.onBack();
  }

  show(state) {
    this.state = state;
    const shown = state === "open" && !this.isGood ? "old" : state;
    byId("connection").dataset.state = shown;
    byId("connection").textContent = WORDS[shown];
  }
}
