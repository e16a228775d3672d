/* Code snippets that send the same form and save the same files. */

import { apiKey } from "../shared/api.js";

/** Longest time that the service holds a request open (RFC 7240). */
const WAIT = "wait=60";

/** Values that curl's -F interprets: `@` and `<` read files, `;` starts a type, outer spaces are removed. */
const PLAIN = /^(?![@<("\s])[^;]*(?<!\s)$/;

/**
 * Return shell commands for a task: `name` of the upload, `overlay` (file name or null), `fields` as [name, text],
 * `results` as names of the results; `isPicture` if there is one result and it is a picture.
 */
export function curl({ origin, name, overlay, fields, results, isPicture }) {
  const form = [
    ...key((header) => `-H "${header}"`),
    `-F ${quoted(`file=@${curlName(name)}`)}`,
    ...(overlay ? [`-F ${quoted(`overlay=@${curlName(overlay)}`)}`] : []),
    ...fields.map(([field, value]) => `${PLAIN.test(value) ? "-F" : "--form-string"} ${quoted(`${field}=${value}`)}`),
  ];
  const command = (...parts) => ["curl -sS --fail-with-body", ...parts].join(" \\\n  ");
  const address = `${origin}/process-image/`;
  if (isPicture) return command(...form, `-H 'Prefer: ${WAIT}'`, "-H 'Accept: image/*'", `-o ${quoted(results[0])}`, address);
  const again = key((header) => `-H "${header}"`);
  return [
    `TASK=$(${command(...form, `-H 'Prefer: ${WAIT}'`, address)} | grep -oE '[0-9a-f-]{36}' | head -n 1)`,
    ...results.map((result) =>
      command(...again, `-o ${quoted(result)}`, `"${origin}/processed/$TASK/"${quoted(encodeURIComponent(result))}`),
    ),
  ].join("\n");
}

/** Return a Python program that uses `requests`. */
export function python({ origin, name, overlay, fields, isPicture, results }) {
  const files = [`"file": open(${text(name)}, "rb")`, ...(overlay ? [`"overlay": open(${text(overlay)}, "rb")`] : [])];
  const headers = [
    `"Prefer": ${text(WAIT)}`,
    ...(isPicture ? ['"Accept": "image/*"'] : []),
    ...(apiKey.get() ? ['"Authorization": f"Bearer {os.environ[\'DARKROOM_KEY\']}"'] : []),
  ];
  const save = isPicture
    ? [`Path(${text(results[0])}).write_bytes(answer.content)`]
    : [
        'result = answer.json()["result"]',
        "for path in result.values() if isinstance(result, dict) else [result]:",
        `    picture = requests.get(f${text(`${origin}/`).slice(0, -1)}{path}"${apiKey.get() ? ", headers=headers" : ""})`,
        "    picture.raise_for_status()",
        "    Path(Path(path).name).write_bytes(picture.content)",
      ];
  return [
    ...(apiKey.get() ? ["import os"] : []),
    "from pathlib import Path",
    "",
    "import requests",
    "",
    `headers = {${headers.join(", ")}}`,
    "answer = requests.post(",
    `    ${text(`${origin}/process-image/`)},`,
    `    files={${files.join(", ")}},`,
    "    data={",
    ...fields.map(([field, value]) => `        ${text(field)}: ${text(value)},`),
    "    },",
    "    headers=headers,",
    ")",
    "answer.raise_for_status()",
    ...save,
    "",
  ].join("\n");
}

/** Quote a word for a POSIX shell if necessary. */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Quote a file name for curl's -F if necessary. */
function curlName(name) {
  return /[;,"\\]|^\s|\s$/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
}

/** JSON strings are valid in Python. */
function text(value) {
  return JSON.stringify(value);
}

function key(write) {
  return apiKey.get() ? [write("Authorization: Bearer $DARKROOM_KEY")] : [];
}
