/* The commands and programs that the studio shows: quoted for a shell, whatever the text. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

// What a browser has and Node does not; no API key is stored.
globalThis.sessionStorage = /** @type {any} */ ({ getItem: () => null });
const { curl, javascript, python } = await import("../../app/static/studio/recipe/snippets.js");

const TASK = {
  origin: "http://127.0.0.1:8000",
  names: ["photo.jpg"],
  overlay: null,
  fields: [
    ["operation", "watermark"],
    ["text", 'it\'s "$HOME" & `more` ; @x'],
  ],
  results: ["photo.jpg"],
  isPicture: true,
};

/** Return the arguments that a shell passes to curl. */
function curlArguments(command) {
  const script = `curl() { printf '%s\\0' "$@"; }\n${command}`;
  return execFileSync("bash", ["-c", script], { encoding: "utf8" }).split("\0").slice(0, -1);
}

test("a shell passes each field as it was typed", () => {
  const args = curlArguments(curl(TASK));
  assert.ok(args.includes(`text=${TASK.fields[1][1]}`));
  assert.equal(args[args.indexOf(`text=${TASK.fields[1][1]}`) - 1], "--form-string");
  assert.ok(args.includes("operation=watermark"));
  assert.equal(args[args.indexOf("-o") + 1], "photo-result.jpg"); // not over the upload
  assert.equal(args.at(-1), "http://127.0.0.1:8000/process-image/");
});

test("no result is saved over one of the files", () => {
  for (const names of [["photo.jpg"], ["photo.png", "other.jpg"], ["photo.jpg", "other.jpg"]]) {
    for (const code of [curl, python, javascript].map((write) => write({ ...TASK, names }))) {
      assert.match(code, /-result\.jpg/);
    }
  }
  assert.ok(!curl({ ...TASK, names: ["photo.png"] }).includes("-result"));
});

test("several results are fetched by their paths", () => {
  const command = curl({ ...TASK, results: ["photo-a.webp", "photo-b b.webp"], isPicture: false });
  assert.match(command, /^TASK=\$\(curl /);
  assert.match(command, /processed\/\$TASK\/"photo-a\.webp/);
  assert.match(command, /photo-b%20b\.webp/);
});

test("an address takes the place of the file, and a key is named if the service requires one", () => {
  const args = curlArguments(curl({ ...TASK, url: "https://example.com/a b.jpg", hasKey: true }));
  assert.ok(args.includes("url=https://example.com/a b.jpg"));
  assert.ok(!args.some((argument) => argument.startsWith("file=")));
  assert.ok(args.includes("Authorization: Bearer "));
});

test("the Python program compiles and names the same form", () => {
  for (const isPicture of [true, false]) {
    const program = python({ ...TASK, isPicture });
    execFileSync("python3", ["-c", "import sys; compile(sys.stdin.read(), 'snippet', 'exec')"], { input: program });
    assert.match(program, /requests\.post/);
    assert.ok(program.includes("watermark"));
  }
});
