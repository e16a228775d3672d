/* Format numbers and times. */

const UNITS = ["B", "KB", "MB", "GB"];

export function bytes(count) {
  let unit = 0;
  while (count >= 1000 && unit < UNITS.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${unit === 0 || count >= 100 ? Math.round(count) : count.toPrecision(3)} ${UNITS[unit]}`;
}

/** Seconds as "85 ms", "1.2 s", "3 min 20 s" or "2 h 5 min". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** A time as "just now", "12 s ago", "5 min ago", or the day. */
export function ago(time, now = Date.now()) {
  const seconds = Math.max(0, (now - new Date(time).getTime()) / 1000);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(time).toLocaleDateString();
}

export function count(number) {
  return number.toLocaleString("en-US");
}

/* Formats of times in the monitor. */

/** @type {Intl.DateTimeFormatOptions} */
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };

/** The time of day, with the date unless it is today. */
export function clock(time, { seconds = true } = {}) {
  const at = new Date(time);
  const text = at.toLocaleTimeString("en-GB", seconds ? CLOCK : { ...CLOCK, second: undefined });
  return at.toDateString() === new Date().toDateString()
    ? text
    : `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })} ${text}`;
}

/** The time of day with milliseconds. */
export function exactClock(time) {
  return `${clock(time)}.${String(new Date(time).getMilliseconds()).padStart(3, "0")}`;
}

/** A text without control characters, which could show it in another order: "gpj.exe" as "exe.jpg". */
export function printable(text) {
  return text.replace(/[\u202a-\u202e\u2066-\u2069\u200e\u200f\p{Cc}]/gu, "\ufffd");
}

/** A name of the API as a person writes it. */
export function words(name) {
  return String(name)
    .replaceAll("_", " ")
    .replace(/^./, (first) => first.toUpperCase());
}
