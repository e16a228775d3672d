"""README's part on Kubernetes, held against what is."""

import re

import yaml
from arq.connections import ArqRedis
from starlette.routing import Route

import worker.main
from app.api_settings import Settings
from app.routes import make_routes
from tests.conftest import Client
from tests.test_readme import README, ROOT
from worker.settings import MB_PER_MEGAPIXEL, MOST_MEGAPIXELS, read_settings
from worker.tasks.queue import HEALTH_KEY

[FRAGMENT] = re.findall(r"```yaml\n(.+?)```", README, re.DOTALL)
PODS = yaml.safe_load(FRAGMENT)
[API], [WORKER] = PODS["api"]["containers"], PODS["worker"]["containers"]
DEFAULTS = read_settings(Settings, {})


def test_the_apis_probes_ask_its_own_routes_on_the_images_port() -> None:
    paths = {route.path for route in make_routes() if isinstance(route, Route)}
    exposed = re.findall(r"^EXPOSE (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for probe in (API["livenessProbe"], API["readinessProbe"]):
        assert probe["httpGet"]["path"] in paths
        assert [str(probe["httpGet"]["port"])] == exposed
    assert "/readyz" in paths


def test_the_api_has_keys_because_it_is_reached_from_elsewhere() -> None:
    [key] = API["env"]
    assert key["name"] == "API_KEYS"
    assert key["name"].lower() in Settings.__struct_fields__


def test_the_workers_probe_names_what_arq_can_check() -> None:
    *_, target = WORKER["readinessProbe"]["exec"]["command"]
    module, _, name = target.rpartition(".")
    assert module == worker.main.__name__
    assert getattr(worker.main, name)["health_check_key"] == HEALTH_KEY


def test_the_grace_periods_cover_what_a_stop_waits_for() -> None:
    pause_s = float(API["lifecycle"]["preStop"]["exec"]["command"][1])
    assert PODS["api"]["terminationGracePeriodSeconds"] > pause_s + DEFAULTS.upload_timeout_s
    assert PODS["worker"]["terminationGracePeriodSeconds"] > DEFAULTS.shutdown_grace_s


def test_the_workers_memory_suffices_for_the_largest_pictures() -> None:
    given = {entry["name"].lower(): entry["value"] for entry in WORKER["env"]}
    assert given.keys() <= set(Settings.__struct_fields__)
    limit_mb = int(WORKER["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30 / 1e6
    [mb_per_megapixel] = set(re.findall(r"(\d+) MB (?:a|per) megapixel", README))
    assert int(mb_per_megapixel) == MB_PER_MEGAPIXEL
    assert limit_mb > int(given["worker_threads"]) * MB_PER_MEGAPIXEL * MOST_MEGAPIXELS
    assert limit_mb > DEFAULTS.worker_max_rss_mb


async def test_the_key_that_scales_the_workers_counts_what_waits(api: Client, redis: ArqRedis) -> None:
    [trigger] = PODS["keda"]["triggers"]
    for _ in range(3):
        await api.upload()
    assert await redis.zcard(trigger["metadata"]["listName"]) == 3
