/* Wait while the service is full (429), and go on one task at a time. */

/** Longest pause between two attempts, in seconds. */
const LONGEST_PAUSE_S = 30;

/** All uploads pass here. While the service is full, they wait in order; each end of a task, or Retry-After, lets one try. */
export class Room {
  constructor() {
    this.isFull = false;
    this._waiting = [];
    this._timer = 0;
  }

  /** Run `attempt`, again and again while it is refused with 429 or 503 and a time; `tell` gets the seconds to wait. */
  async enter(attempt, tell, signal) {
    if (this.isFull) await this._wait(signal);
    for (;;) {
      try {
        const answer = await attempt();
        this._letOne();
        return answer;
      } catch (error) {
        if (![429, 503].includes(error.status) || error.retryAfter === null) {
          this._letOne();
          throw error;
        }
        this._close(error.retryAfter);
        tell(error.retryAfter);
        await this._wait(signal, true);
      }
    }
  }

  /** A task has ended: there may be room for another. */
  ended() {
    if (this.isFull) this._letOne();
  }

  _close(seconds) {
    this.isFull = true;
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._letOne(), Math.min(seconds, LONGEST_PAUSE_S) * 1000);
  }

  _wait(signal, isFirst = false) {
    return /** @type {Promise<void>} */ (
      new Promise((resolve, reject) => {
        const turn = { resolve };
        if (isFirst) this._waiting.unshift(turn);
        else this._waiting.push(turn);
        const stop = () => {
          this._waiting = this._waiting.filter((each) => each !== turn);
          reject(new DOMException("stopped", "AbortError"));
        };
        if (signal?.aborted) stop();
        else signal?.addEventListener("abort", stop);
      })
    );
  }

  _letOne() {
    const next = this._waiting.shift();
    if (next) next.resolve();
    else this.isFull = false;
  }
}
