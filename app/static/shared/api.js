/* The client of the API: requests, uploads with progress, and server-sent events. */

const KEY = "darkroom-key";

/** The API key of this tab, if the service requires one. */
export const apiKey = {
  get: () => sessionStorage.getItem(KEY),
  set: (key) => sessionStorage.setItem(KEY, key),
  forget: () => sessionStorage.removeItem(KEY),
  /** Use the session of the monitor instead of a key on this page. */
  ignore: () => (isIgnored = true),
};

let isIgnored = false;

/** An error response: `status`, `message`, by field the problems (`fields`), and `retryAfter` in seconds or null. */
export class Problem extends Error {
  constructor(status, body, retryAfter = null) {
    super(body?.detail ?? `the service answered ${status}`);
    this.status = status;
    this.retryAfter = retryAfter === null ? null : Number(retryAfter) || 1;
    this.fields = new Map((body?.errors ?? []).map(({ field, message }) => [field, message]));
  }
}

/** There was no response. */
export class Unreachable extends Error {
  constructor() {
    super("the service does not answer; is it running?");
  }
}

function headers(extra = {}) {
  const key = isIgnored ? null : apiKey.get();
  const csrf = document.cookie.match(/(?:^|; )darkroom_csrf=([^;]+)/)?.[1];
  return { ...(key ? { Authorization: `Bearer ${key}` } : {}), ...(csrf ? { "X-CSRF-Token": csrf } : {}), ...extra };
}

/** Send a request and return its response; throws `Problem` or `Unreachable`. */
export async function send(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: headers(options.headers) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => null), answer.headers.get("retry-after"));
  return answer;
}

/** Request JSON; throws `Problem` or `Unreachable`. */
export async function request(path, options) {
  const answer = await send(path, options);
  return answer.status === 204 ? null : answer.json();
}

/** Load the bytes of a file. */
export async function file(path) {
  return (await send(path)).blob();
}

/** POST a form; `onProgress` is called with the sent fraction, 0 to 1. */
export function upload(path, form, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    sending.open("POST", path);
    for (const [name, value] of Object.entries(headers())) sending.setRequestHeader(name, value);
    sending.responseType = "json";
    sending.upload.onprogress = (event) => onProgress(event.lengthComputable ? event.loaded / event.total : 0);
    sending.onload = () =>
      sending.status < 300
        ? resolve(sending.response)
        : reject(new Problem(sending.status, sending.response, sending.getResponseHeader("retry-after")));
    sending.onerror = () => reject(new Unreachable());
    sending.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal?.addEventListener("abort", () => sending.abort());
    sending.send(form);
  });
}

const PAUSES_S = [0.5, 1, 2, 5, 10];

/**
 * Listen to server-sent events until `signal` aborts or the server ends the stream (204).
 * It uses fetch, because EventSource cannot send a key. It reconnects after an outage with Last-Event-ID;
 * `onState` is called with "open" and "closed".
 * @param {string} path
 * @param {(event: any) => void} onEvent
 * @param {{signal?: AbortSignal, onState?: (state: string) => void, lastId?: string | null}} options
 */
export async function listen(path, onEvent, { signal, onState = () => {}, lastId = null } = {}) {
  let id = lastId;
  for (let failures = 0; !signal?.aborted; ) {
    try {
      const answer = await send(path, { signal, headers: { Accept: "text/event-stream", ...(id ? { "Last-Event-ID": id } : {}) } });
      if (answer.status === 204) return;
      onState("open");
      failures = 0;
      for await (const event of events(answer.body)) {
        id = event.id ?? id;
        onEvent(event);
        if (event.name === "ended" && path.startsWith("/tasks/")) return;
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (error instanceof Problem && error.status < 500 && error.status !== 429) throw error;
    }
    onState("closed");
    const pause = PAUSES_S[Math.min(failures, PAUSES_S.length - 1)] * 1000;
    failures += 1;
    await /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        const timer = setTimeout(resolve, pause);
        signal?.addEventListener("abort", () => {
          clearTimeout(timer);
          resolve();
        });
      })
    );
  }
}

/** Yield {name, data, id} from a stream of events (WHATWG HTML, 9.2.6), as far as this service writes them. */
async function* events(body) {
  let rest = "";
  const decoder = new TextDecoder();
  for (const reader = body.getReader(); ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + decoder.decode(value, { stream: true })).replaceAll("\r\n", "\n").split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(
        part
          .split("\n")
          .filter((line) => !line.startsWith(":"))
          .map((line) => line.split(/: (.*)/s).slice(0, 2)),
      );
      if (fields.data) yield { name: fields.event, data: JSON.parse(fields.data), id: fields.id };
    }
  }
}
