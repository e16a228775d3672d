/* The operations and error codes of the service, from `GET /operations`. */

import { request } from "../shared/api.js";

/** @type {Promise<any> | null} */
let loading = null;
let loaded = null;

/** Load the catalog once; again after a failure. */
export function catalog() {
  loading ??= request("/operations").then(
    (answer) => {
      loaded = answer;
      return answer;
    },
    (error) => {
      loading = null;
      throw error;
    },
  );
  return loading;
}

/** The catalog, or null before it is loaded. */
export const knownCatalog = () => loaded;

/** What a task's error code means ({meaning, retry_helps, docs}), or null if it is not known. */
export function errorCode(task) {
  return (task.status === "FAILURE" && loaded?.error_codes?.[task.error_code]) || null;
}

/** Whether a retry of a task can have another outcome; also true if that is not known. */
export function canRetryHelp(task) {
  return errorCode(task)?.retry_helps ?? true;
}
