"""The alert rules and the dashboard of `app/monitoring`: what they ask for exists, and Prometheus accepts them."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.http.problem_types import REASONS
from tests.conftest import Client
from worker.errors import ErrorCode
from worker.tasks.status import Status
from worker.webhooks.messages import State

FILES = Path(__file__).parents[3] / "app" / "monitoring"
RULES, DASHBOARD = FILES / "alerts.yml", FILES / "grafana.json"

LABELS: dict[str, set[str]] = {
    "status": set(Status),
    "error_code": set(ErrorCode),
    "reason": set(REASONS),
    "result": set(State),
}
"""Label -> the values that it may have."""


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [rule["expr"] for rule in rules()] + [target["expr"] for panel in panels for target in panel["targets"]]


async def test_every_metric_and_label_that_is_asked_for_exists(api: Client) -> None:
    text = (await api.get("/metrics")).text
    known = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    # Series of workers and operations exist once there are any.
    known |= {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    known |= {f"{name}_bucket" for name in known}
    for expression in expressions():
        names = set(re.findall(r"darkroom_\w+", expression))
        assert names, expression
        assert names <= known, expression
        for label, _, values in re.findall(r'(\w+)(=~?)"([^"]+)"', expression):
            assert set(values.split("|")) <= LABELS[label], expression


def test_every_alarm_of_the_monitor_has_a_rule() -> None:
    names = {rule["alert"] for rule in rules()}
    alarms = {"NoWorker", "OldestWaiting", "QueuePaused", "TasksFail", "QueueNearlyFull", "NoMetrics"}
    assert names >= {f"Darkroom{alarm}" for alarm in alarms}
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_promtool_accepts_the_rules() -> None:
    if (promtool := shutil.which("promtool")) is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no promtool here; install Debian's package prometheus")
    checked = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_panels_do_not_overlap() -> None:
    taken = set[tuple[int, int]]()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        taken |= cells
