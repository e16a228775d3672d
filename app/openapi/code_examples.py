"""The code of example calls in curl, Python (httpx) and JavaScript (fetch, Node 20 or newer)."""

import json
import re
from collections.abc import Callable, Iterator

from app.openapi.example_calls import WAIT_S, Call
from app.openapi.markup import Html, join_html, tag

KEY = "KEY"
"""The environment variable from which the examples take the API key."""

_SHORT = 96
"""Characters of a command that stays on one line."""

_PLAIN = re.compile(r'(?![@<("\s])[^;]*(?<!\s)')
"""Values that curl's -F does not interpret: `@` and `<` read files, `;` starts a type, outer spaces are removed."""


def curl(call: Call) -> str:
    """Return a shell command."""
    options = ["-N"] if call.result == "stream" else []
    if call.follows_redirects and call.saved_as:
        options.append("-L")
    # curl chooses GET, and POST for bodies.
    if call.method != ("POST" if call.fields or call.json is not None else "GET"):
        options.append(f"-X {call.method}")
    options += (_form_option(name, value) for name, value in call.fields)
    options += (f"-H {_quoted(f'{name}: {value}')}" for name, value in call.headers.items())
    options += [f'-H "Authorization: Bearer ${KEY}"'] if call.needs_key else []
    if call.json is not None:
        options += ["-H 'Content-Type: application/json'", f"-d {_quoted(json.dumps(call.json))}"]
    options += [f"--data-binary @{call.body_file}"] if call.body_file else []
    options += [f"--fail-with-body -o {call.saved_as}"] if call.saved_as else []
    first, *others = [*options, _quoted(call.url)]
    words = [f"curl {first}", *others]
    return " ".join(words) if len(" ".join(words)) <= _SHORT else " \\\n  ".join(words)


def _form_option(name: str, value: str) -> str:
    if name == "file":
        return f"-F file=@{value}"
    return f"{'-F' if _PLAIN.fullmatch(value) else '--form-string'} {_quoted(f'{name}={value}')}"


def _quoted(word: str) -> str:
    """Quote a word for a POSIX shell if necessary."""
    return word if re.fullmatch(r"[\w@%+=:,./-]+", word) else "'" + word.replace("'", "'\\''") + "'"


def python(call: Call) -> str:
    """Return a program that uses httpx."""
    imports = ["import os"] if call.needs_key else []
    imports += ["from pathlib import Path"] if call.saved_as or call.body_file else []
    arguments = list(_python_arguments(call))
    if call.result == "stream":
        arguments += ["timeout=None"]
        called = _called("httpx.stream", [f'"{call.method}"', *arguments])
        rest = ["answer.raise_for_status()", "for line in answer.iter_lines():", "    print(line)"]
        program = [f"with {called} as answer:", *(f"    {each}" for each in rest)]
    else:
        # httpx.delete and httpx.get take no body; none of these calls has one.
        program = [f"answer = {_called(f'httpx.{call.method.lower()}', arguments)}", "answer.raise_for_status()"]
        program += {
            "json": ["print(answer.json())"],
            "text": ["print(answer.text)"],
            "file": [f"Path({_literal(call.saved_as)}).write_bytes(answer.content)"],
        }.get(call.result, [])
    return "\n".join([*imports, *([""] if imports else []), "import httpx", "", *program])


def _python_arguments(call: Call) -> Iterator[str]:
    yield _literal(call.url)
    headers = [f"{_literal(name)}: {_literal(value)}" for name, value in call.headers.items()]
    headers += [f'"Authorization": f"Bearer {{os.environ[\'{KEY}\']}}"'] if call.needs_key else []
    if headers:
        yield f"headers={{{', '.join(headers)}}}"
    opened = [f'open({_literal(value)}, "rb")' for name, value in call.fields if name == "file"]
    if len(opened) == 1:
        yield f'files={{"file": {opened[0]}}}'
    elif opened:
        pairs = (f'("file", {each})' for each in opened)
        yield f"files=[{', '.join(pairs)}]"
    data = [f"{_literal(name)}: {_literal(value)}" for name, value in call.fields if name != "file"]
    if data:
        yield f"data={{{', '.join(data)}}}"
    if call.json is not None:
        yield f"json={_literal(call.json)}"
    if call.body_file:
        yield f"content=Path({_literal(call.body_file)}).read_bytes()"
    if "Prefer" in call.headers:
        yield f"timeout={WAIT_S + 10}"
    if call.follows_redirects and call.saved_as:
        yield "follow_redirects=True"


def javascript(call: Call) -> str:
    """Return a module that uses fetch, and Node's files where there are any."""
    reads = any(name == "file" for name, _ in call.fields) or call.body_file
    names = [name for name, used in (("readFile", reads), ("writeFile", call.saved_as)) if used]
    program = [f'import {{ {", ".join(names)} }} from "node:fs/promises";', ""] if names else []
    if call.fields:
        program += ["const form = new FormData();", *(_append(name, value) for name, value in call.fields)]
    options = list(_fetch_options(call))
    arguments = [_literal(call.url), *([f"{{ {', '.join(options)} }}"] if options else [])]
    fetch = f"const answer = await fetch({', '.join(arguments)});"
    if options and len(fetch) > _SHORT:
        fetch = "\n  ".join([f"const answer = await fetch({arguments[0]}, {{", *(f"{each}," for each in options)])
        fetch += "\n});"
    program += [fetch, "if (!answer.ok) throw new Error(await answer.text());"]
    stream = ["for await (const text of answer.body.pipeThrough(new TextDecoderStream())) console.log(text);"]
    program += {
        "json": ["console.log(await answer.json());"],
        "text": ["console.log(await answer.text());"],
        "file": [f"await writeFile({_literal(call.saved_as)}, Buffer.from(await answer.arrayBuffer()));"],
        "stream": stream,
    }.get(call.result, [])
    return "\n".join(program)


def _append(name: str, value: str) -> str:
    if name == "file":
        return f'form.append("file", new Blob([await readFile({_literal(value)})]), {_literal(value)});'
    return f"form.append({_literal(name)}, {_literal(value)});"


def _fetch_options(call: Call) -> Iterator[str]:
    if call.method != "GET":
        yield f'method: "{call.method}"'
    headers = [
        f"{name if name.isidentifier() else _literal(name)}: {_literal(value)}" for name, value in call.headers.items()
    ]
    headers += ['"Content-Type": "application/json"'] if call.json is not None else []
    headers += [f"Authorization: `Bearer ${{process.env.{KEY}}}`"] if call.needs_key else []
    if headers:
        yield f"headers: {{ {', '.join(headers)} }}"
    if call.fields:
        yield "body: form"
    if call.json is not None:
        yield f"body: JSON.stringify({_literal(call.json)})"
    if call.body_file:
        yield f"body: await readFile({_literal(call.body_file)})"


def _called(function: str, arguments: list[str]) -> str:
    """Return a call in Python, with an argument per line if it is long."""
    short = f"{function}({', '.join(arguments)})"
    if len(short) <= _SHORT:
        return short
    return "\n    ".join([f"{function}(", *(f"{each}," for each in arguments)]) + "\n)"


def _literal(value: object) -> str:
    """Return a string, or JSON without booleans and null, as it is written in Python and JavaScript alike."""
    if isinstance(value, str) and '"' in value and not re.search(r"['\\\x00-\x1f]", value):
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False)


LANGUAGES: dict[str, Callable[[Call], str]] = {"curl": curl, "Python": python, "JavaScript": javascript}
"""Name of a language -> function that writes it."""


def code_block(call: Call) -> Html:
    """Return the code of a call in all languages, of which the page shows one."""
    tabs = (
        tag("button", name, type="button", role="tab", data_language=name, aria_selected=str(name == "curl").lower())
        for name in LANGUAGES
    )
    texts = (
        tag("pre", write(call), role="tabpanel", aria_label=name, data_language=name, tabindex="0")
        for name, write in LANGUAGES.items()
    )
    bar = tag("div", *tabs, class_="tabs", role="tablist", aria_label="Language")
    return tag("div", bar, join_html(*texts), class_="code")
