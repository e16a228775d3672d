/* Times as the monitor writes them. */

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };

/** The time of day, with the day where that is not today's. */
export function clock(time, { seconds = true } = {}) {
  const at = new Date(time);
  const text = at.toLocaleTimeString("en-GB", seconds ? CLOCK : { ...CLOCK, second: undefined });
  return at.toDateString() === new Date().toDateString() ? text : `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${text}`;
}

/** The time of day to the millisecond, for what follows within one. */
export function exactClock(time) {
  return `${clock(time)}.${String(new Date(time).getMilliseconds()).padStart(3, "0")}`;
}
