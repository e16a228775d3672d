"""The tables, as they stand in README, from what is in the JSON file."""

from typing import Any

Record = dict[str, Any]
"""What `__main__` writes as JSON."""


def tables(record: Record) -> str:
    """Return both tables in Markdown."""
    return f"{figures_table(record)}\n\n{goals_table(record)}"


def figures_table(record: Record) -> str:
    """Tasks a second, CPU ms for each, and PSNR; medians at 8 clients: a row for each case."""
    names = list(dict.fromkeys(entry["contender"] for entry in record["figures"]))
    rows = [["tasks/s (CPU ms each, PSNR in dB)", *names]]
    for case in dict.fromkeys(entry["case"] for entry in record["figures"]):
        cells = {
            entry[
                "contender"
            ]: f"{_short(entry['per_s'])} ({_short(entry['cpu_ms'])}{_psnr(record, case, entry['contender'])})"
            for entry in record["figures"]
            if entry["case"] == case and entry["clients"] == 8
        }
        rows.append([case, *(cells.get(name, "") for name in names)])
    return _markdown(rows)


def _psnr(record: Record, case: str, contender: str) -> str:
    psnr_db = record["fidelity"].get(case, {}).get(contender, {}).get("psnr_db")
    return "" if psnr_db is None else f", {psnr_db:.1f}"


def goals_table(record: Record) -> str:
    rows = [["ratio", "goal", "median", "from ... to", ""]]
    rows += [
        [
            goal["figure"],
            goal["goal"],
            _short(goal["median"]),
            f"{_short(goal['low'])} ... {_short(goal['high'])}",
            "" if goal["is_met"] else "not met",
        ]
        for goal in record["goals"]
    ]
    return _markdown(rows)


def _markdown(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    return "\n".join(lines)


def _short(value: float) -> str:
    """Three digits, which is what such measurements are good for."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
