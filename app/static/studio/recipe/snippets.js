/* Code that sends the same form and saves the same files. */

import { apiKey } from "../../shared/api.js";

/** Longest time that the service holds a request open (RFC 7240). */
const WAIT = "wait=60";

/** Values that curl's -F interprets: `@` and `<` read files, `;` starts a type, outer spaces are removed. */
const PLAIN = /^(?![@<("\s])[^;]*(?<!\s)$/;

/**
 * Return shell commands: `names` of the files, `overlay` (file name or null), `fields` as [name, text], `results` as
 * names of the results of the first file; `isPicture` if there is one result and it is a picture. With a `url`, the
 * service fetches the file; `hasKey` if the service requires a key.
 */
export function curl({ origin, names, url = null, overlay, fields, results, isPicture, hasKey = Boolean(apiKey.get()) }) {
  const isLoop = names.length > 1;
  const key = (write) => (hasKey ? [write("Authorization: Bearer $KEY")] : []);
  const file = url
    ? `--form-string ${quoted(`url=${url}`)}`
    : isLoop
      ? '-F "file=@\\"$FILE\\""'
      : `-F ${quoted(`file=@${curlName(names[0])}`)}`;
  const form = [
    ...key((header) => `-H "${header}"`),
    file,
    ...(overlay ? [`-F ${quoted(`overlay=@${curlName(overlay)}`)}`] : []),
    ...fields.map(([field, value]) => `${PLAIN.test(value) ? "-F" : "--form-string"} ${quoted(`${field}=${value}`)}`),
    `-H 'Prefer: ${WAIT}'`,
  ];
  const command = (...parts) => ["curl -sS --fail-with-body", ...parts].join(" \\\n  ");
  const address = `${origin}/process-image/`;
  // In a loop, `stem` is the file's name without its extension.
  const named = (name) => (isLoop ? `"$STEM"${quoted(name.slice(stemOf(names[0]).length))}` : quoted(name));
  const task = isPicture
    ? command(...form, "-H 'Accept: image/*'", `-o ${named(savedName(results[0], names))}`, address)
    : [
        `TASK=$(${command(...form, address)} | grep -oE '[0-9a-f-]{36}' | head -n 1)`,
        ...results.map((result) =>
          command(
            ...key((header) => `-H "${header}"`),
            `-o ${named(result)}`,
            `"${origin}/processed/$TASK/"${encodedName(result, named, isLoop)}`,
          ),
        ),
      ].join("\n");
  if (!isLoop) return task;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell expands it
  const body = ['STEM="${FILE%.*}"', task].join("\n").replaceAll("\n", "\n  ");
  return `for FILE in ${names.map(quoted).join(" ")}; do\n  ${body}\ndone`;
}

function encodedName(result, named, isLoop) {
  return isLoop ? named(result) : quoted(encodeURIComponent(result));
}

/** Return a Python program that uses `requests`. */
export function python({ origin, names, overlay, fields, isPicture, results }) {
  const headers = [
    `"Prefer": ${text(WAIT)}`,
    ...(isPicture ? ['"Accept": "image/*"'] : []),
    ...(apiKey.get() ? ['"Authorization": f"Bearer {os.environ[\'KEY\']}"'] : []),
  ];
  const name = savedName(results[0], names);
  const saved = names.length > 1 ? `Path(name).stem + ${text(name.slice(stemOf(names[0]).length))}` : text(name);
  const save = isPicture
    ? [`Path(${saved}).write_bytes(answer.content)`]
    : [
        'result = answer.json()["result"]',
        "for path in result.values() if isinstance(result, dict) else [result]:",
        `    picture = requests.get(f${text(`${origin}/`).slice(0, -1)}{path}"${apiKey.get() ? ", headers=headers" : ""})`,
        "    picture.raise_for_status()",
        "    Path(Path(path).name).write_bytes(picture.content)",
      ];
  const files = ['"file": open(name, "rb")', ...(overlay ? [`"overlay": open(${text(overlay)}, "rb")`] : [])];
  return [
    ...(apiKey.get() ? ["import os"] : []),
    "from pathlib import Path",
    "",
    "import requests",
    "",
    `headers = {${headers.join(", ")}}`,
    `for name in [${names.map(text).join(", ")}]:`,
    ...[
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
    ].map((line) => `    ${line}`),
    "",
  ].join("\n");
}

/** Return a JavaScript module for Node 20 or newer. */
export function javascript({ origin, names, overlay, fields, isPicture, results }) {
  const headers = [
    `Prefer: ${text(WAIT)}`,
    ...(isPicture ? ['Accept: "image/*"'] : []),
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Node expands it
    ...(apiKey.get() ? ["Authorization: `Bearer ${process.env.KEY}`"] : []),
  ];
  const name = savedName(results[0], names);
  const saved = names.length > 1 ? `parse(name).name + ${text(name.slice(stemOf(names[0]).length))}` : text(name);
  const save = isPicture
    ? [`await writeFile(${saved}, Buffer.from(await answer.arrayBuffer()));`]
    : [
        "const { result } = await answer.json();",
        'for (const path of typeof result === "string" ? [result] : Object.values(result)) {',
        `  const picture = await fetch(new URL(path, ${text(`${origin}/`)}), { headers });`,
        "  await writeFile(basename(path), Buffer.from(await picture.arrayBuffer()));",
        "}",
      ];
  return [
    'import { readFile, writeFile } from "node:fs/promises";',
    'import { basename, parse } from "node:path";',
    "",
    `const headers = { ${headers.join(", ")} };`,
    `for (const name of [${names.map(text).join(", ")}]) {`,
    ...[
      "const form = new FormData();",
      ...fields.map(([field, value]) => `form.append(${text(field)}, ${text(value)});`),
      'form.append("file", new Blob([await readFile(name)]), basename(name));',
      ...(overlay ? [`form.append("overlay", new Blob([await readFile(${text(overlay)})]), ${text(overlay)});`] : []),
      `const answer = await fetch(${text(`${origin}/process-image/`)}, { method: "POST", body: form, headers });`,
      "if (!answer.ok) throw new Error(await answer.text());",
      ...save,
    ].map((line) => `  ${line}`),
    "}",
    "",
  ].join("\n");
}

const EXTENSIONS = { jpeg: "jpg", tiff: "tif" };

/** Formats that stay what they are with format=keep, by the extension of the upload. */
const KEPT = { jpeg: "jpg", jpe: "jpg", tiff: "tif", bmp: "png", ico: "png", heic: "jpg", heif: "jpg" };

/** Return {results, isPicture}: the names that the results of a file will have, from the recipe's JSON. */
export function expected(json, name) {
  const stem = stemOf(name);
  const own = name.slice(stem.length + 1).toLowerCase();
  const extension = ({ format = "keep", operations = [] }) => {
    if (operations.at(-1)?.operation === "inspect") return "json";
    return ["keep", "auto"].includes(format) ? (KEPT[own] ?? (own || "img")) : (EXTENSIONS[format] ?? format);
  };
  if (json.preset) return { results: [`${stem}.jpg`], isPicture: true };
  if (!json.variants) return { results: [`${stem}.${extension(json)}`], isPicture: extension(json) !== "json" };
  return { results: Object.entries(json.variants).map(([variant, each]) => `${stem}-${variant}.${extension(each)}`), isPicture: false };
}

/** Return the name under which the result of the first file is saved: never that of one of the files themselves. */
function savedName(result, names) {
  const rest = result.slice(stemOf(names[0]).length);
  if (!names.some((name) => name === stemOf(name) + rest)) return result;
  return `${stemOf(names[0])}-result${rest}`;
}

function stemOf(name) {
  return name.replace(/\.[^.]*$/, "");
}

/** Quote a word for a POSIX shell if necessary. */
function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Quote a file name for curl's -F if necessary. */
function curlName(name) {
  return /[;,"\\]|^\s|\s$/.test(name) ? `"${name.replace(/["\\]/g, "\\$&")}"` : name;
}

/** JSON strings are valid in Python and JavaScript. */
function text(value) {
  return JSON.stringify(value);
}
