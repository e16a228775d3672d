"""`GET /stats?by=...`: where the time goes."""

from typing import Any

import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from tests.app.routes.test_control import BROKEN
from tests.app.tasks.test_sketches import true_quantile
from tests.conftest import Client, eventually, problem_fields, serving, working
from tests.support.callers import callers_at, with_keys
from tests.support.pictures import drawing, encoded, jpeg
from worker.telemetry.counters import Reporter, Stats


async def groups(client: Client, by: str, span: str = "hour") -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(f"/stats?range={span}&by={by}")).json()
    return {group["name"]: group for group in found["groups"]}


async def test_the_slowest_operation_comes_first_with_true_numbers(api: Client, redis: ArqRedis) -> None:
    durations = {"blur": [0.5 + number / 100 for number in range(100)], "sepia": [0.01] * 500, "resize": [0.2, 30.0]}
    for part in range(2):
        stats = Stats()
        for name, values in durations.items():
            for value in values[part::2]:
                stats.observe_group("by_operation", name, seconds=value)
        stats.count("by_operation", "resize", "failed")
        await Reporter(stats, redis).stop()
    for span, points in (("hour", 60), ("day", 96)):
        answer = (await api.get(f"/stats?range={span}&by=operation")).json()
        assert [group["name"] for group in answer["groups"]] == ["blur", "resize", "sepia"]  # by the sum of their time
        for group in answer["groups"]:
            values = durations[group["name"]]
            assert group["count"] == len(values) == sum(group["history"])
            assert len(group["history"]) == points
            assert group["total_s"] == pytest.approx(sum(values), rel=1e-3)
            assert group["took_s"]["p50"] == pytest.approx(true_quantile(values, 0.5), rel=0.05)
            assert group["took_s"]["p95"] == pytest.approx(true_quantile(values, 0.95), rel=0.05)
            assert group["took_s"]["max"] == pytest.approx(max(values), rel=1e-4)
        assert {group["name"]: group["failed"] for group in answer["groups"]} == {"blur": 0, "resize": 2, "sepia": 0}
    assert "groups" not in (await api.get("/stats")).json()


async def test_tasks_are_counted_by_operation_format_and_key(redis: ArqRedis, settings: Settings) -> None:
    settings = with_keys(settings)
    async with serving(settings) as url, working(settings), callers_at(url) as by_name:
        ann, ops = by_name["ann"], by_name["ops"]
        for data, caller, operation in (
            (jpeg(), ann, "blur"),
            (jpeg(), ann, "sepia"),
            (encoded(drawing(), "PNG"), ops, "blur"),
            (BROKEN, ops, "sepia"),
        ):
            await caller.ended(await caller.upload(data, operation=operation))

        async def all_counted() -> bool:
            found = await groups(ops, "owner")
            return {name: group["count"] for name, group in found.items()} == {"ann": 2, "ops": 2}

        await eventually(all_counted)
        owners, formats, operations = [await groups(ops, by) for by in ("owner", "format", "operation")]
        assert {name: group["failed"] for name, group in owners.items()} == {"ann": 0, "ops": 1}
        assert {name: (group["count"], group["failed"]) for name, group in formats.items()} == {
            "jpeg": (3, 1),
            "png": (1, 0),
        }
        assert {name: (group["count"], group["failed"]) for name, group in operations.items()} == {
            "blur": (2, 0),
            "sepia": (1, 0),  # the other picture could not be decoded
        }
        assert (await ann.get("/stats?by=owner")).status_code == 403


async def test_another_grouping_is_refused_by_name(api: Client) -> None:
    fields = problem_fields(await api.get("/stats?by=color"))
    assert fields == {"by": "must be one of operation, format, owner; got 'color'"}


async def test_hashes_of_groups_leave_with_their_span(api: Client, redis: ArqRedis) -> None:
    stats = Stats()
    stats.observe_group("by_format", "jpeg", seconds=1)
    await Reporter(stats, redis).stop()
    keys = await redis.keys("stats:groups:*")
    assert len(keys) == 2
    assert all([0 < await redis.ttl(key) <= 97 * 900 for key in keys])
