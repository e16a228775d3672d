"""Signed links: results for those who have no key."""

import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import httpx2
import pytest
from arq.connections import ArqRedis

from app.api_settings import Settings
from app.auth.signed_links import Links
from tests.conftest import PHOTO, Client, problem_fields, serving, working
from tests.support.callers import NOBODY, callers
from tests.support.pictures import decoded


@pytest.fixture
async def by_name(redis: ArqRedis, settings: Settings) -> AsyncIterator[Mapping[str, Client]]:
    async with callers(settings) as clients, working(settings):
        yield clients


async def done(client: Client, name: str = "photo.jpg") -> str:
    task_id = await client.upload(name=name)
    await client.ended(task_id)
    return task_id


async def test_a_link_hands_a_result_to_whoever_has_it(by_name: Mapping[str, Client]) -> None:
    task_id = await done(by_name["ann"], "Füße & more.jpg")
    answer = (await by_name["ann"].post(f"/tasks/{task_id}/link", json={"expires_in": 60})).json()
    assert answer["task_id"] == task_id
    left_s = datetime.fromisoformat(answer["expires_at"]).timestamp() - time.time()
    assert 55 < left_s <= 60
    for client in by_name.values():
        picture = await client.get(answer["url"])
        assert decoded(picture.content).mode == "L"
        head = await client.head(answer["url"])
        assert head.headers["content-length"] == str(len(picture.content))
        control, _, age = picture.headers["cache-control"].partition("max-age=")
        assert (control, int(age) <= 60) == ("private, ", True)
    assert (await by_name[NOBODY].get(answer["url"].partition("?")[0])).status_code == 401
    assert (await by_name[NOBODY].delete(answer["url"])).status_code == 405


async def test_each_variant_has_a_link_of_its_own(by_name: Mapping[str, Client]) -> None:
    wish: dict[str, Any] = {"files": {"file": ("p.jpg", PHOTO)}, "data": {"variants": '{"a": {}, "b": {}}'}}
    task_id = (await by_name["ann"].post("/process-image/", **wish)).json()["task_id"]
    await by_name["ann"].ended(task_id)
    urls = (await by_name["ann"].post(f"/tasks/{task_id}/link")).json()["url"]
    assert set(urls) == {"a", "b"}
    for url in urls.values():
        assert (await by_name[NOBODY].get(url)).status_code == 200
    crossed = urls["a"].replace("-a.jpg", "-b.jpg")
    assert (await by_name[NOBODY].get(crossed)).status_code == 403


@pytest.mark.parametrize("caller", [NOBODY, "ann"])
async def test_a_link_that_was_changed_is_refused(by_name: Mapping[str, Client], caller: str) -> None:
    """Also to those who have a key: they would take a broken link for a good one."""
    mine, other = await done(by_name["ann"]), await done(by_name["ann"])
    url = (await by_name["ann"].post(f"/tasks/{mine}/link")).json()["url"]
    query = httpx2.URL(url).params
    last = "A" if url[-1] != "A" else "E"  # the last letter has two bits beyond the digest's
    for wrong in (
        url.replace(mine, other),
        url.replace("photo.jpg", "photo.png"),
        url.replace(query["expires"], str(int(query["expires"]) + 1)),
        url.replace(f"expires={query['expires']}&", ""),
        url.replace(f"expires={query['expires']}", "expires=x"),
        url[:-1] + last,
        url[:-1],
        url.partition("signature")[0] + "signature=",
        url.partition("signature")[0] + "signature=%C3%BC",
    ):
        answer = await by_name[caller].get(wrong)
        assert answer.status_code == 403, wrong
        assert answer.json()["detail"] == "the signature of the link is not valid; request a new link"


async def test_a_link_ends_when_it_says(redis: ArqRedis, by_name: Mapping[str, Client]) -> None:
    task_id = await done(by_name["ann"])
    links, now_s = Links(redis), int(time.time())
    good = await links.link(f"processed/{task_id}/photo.jpg", now_s + 30)
    past = await links.link(f"processed/{task_id}/photo.jpg", now_s - 1)
    assert (await by_name[NOBODY].get(good)).status_code == 200
    refused = await by_name[NOBODY].get(past)
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    assert refused.json()["detail"] == "the link has expired; request a new one"


async def test_every_api_takes_the_links_of_the_others(by_name: Mapping[str, Client], settings: Settings) -> None:
    """Those that began later, and without keys, where a link ends too."""
    task_id = await done(by_name["ann"])
    url = (await by_name["ann"].post(f"/tasks/{task_id}/link")).json()["url"]
    async with serving(settings) as there, Client(base_url=there) as client:
        assert (await client.get(url)).status_code == 200
        assert (await client.get(url + "x")).status_code == 403


async def test_a_link_to_what_is_not_there_is_not_made(api: Client) -> None:
    task_id = await api.upload()
    answer = await api.post(f"/tasks/{task_id}/link")
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")
    await api.post(f"/tasks/{task_id}/cancel")
    assert (await api.post(f"/tasks/{task_id}/link")).status_code == 409


@pytest.mark.parametrize(
    "body",
    [{"json": {"expires_in": 90}}, {"data": {"expires_in": "90"}}, {"files": {"expires_in": (None, "90")}}, {}],
)
async def test_how_long_a_link_is_good_comes_as_json_or_form(service: Client, body: dict[str, Any]) -> None:
    answer = await service.post(f"/tasks/{await done(service)}/link", **body)
    assert answer.status_code == 200, answer.text
    left_s = datetime.fromisoformat(answer.json()["expires_at"]).timestamp() - time.time()
    assert left_s == pytest.approx(90 if body else 3600, abs=5)


async def test_a_wish_for_a_link_that_cannot_be_is_refused(service: Client) -> None:
    path = f"/tasks/{await done(service)}/link"
    for value in (0, 604_801, "soon", None, 1.5, [1]):
        found = problem_fields(await service.post(path, json={"expires_in": value}))
        assert found["expires_in"].startswith("must be a whole number from 1 to 604800; got ")
    assert set(problem_fields(await service.post(path, data={"expires_in": "x", "days": "1"}))) == {
        "expires_in",
        "days",
    }
    assert set(problem_fields(await service.post(path, content="expires_in=5&expires_in=6", headers=FORM))) == {
        "expires_in"
    }
    for content, kind in (("{", "json"), ("[]", "json"), (b"\xff", "json"), ("[" * 9000, "json"), ("x", "pdf")):
        answer = await service.post(path, content=content, headers={"Content-Type": f"application/{kind}"})
        assert answer.status_code == 400, content
    assert (await service.post(path, content=b"x" * 20_000, headers=FORM)).status_code == 413


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
