/* The event stream of all tasks, and the state of the connection. */

import { listen } from "../shared/api.js";
import { announce, byId } from "../shared/dom.js";

const WORDS = { connecting: "Connecting", open: "Live", closed: "Reconnecting" };

/** Pass on events; reconnect after an outage and then call `onBack`. */
export class Feed {
  constructor(onEvent, onBack, onRefused) {
    this.onEvent = onEvent;
    this.onBack = onBack;
    this.onRefused = onRefused;
    this.state = "connecting";
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
    byId("connection").dataset.state = state;
    byId("connection").textContent = WORDS[state];
  }
}
