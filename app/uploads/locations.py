"""Fields that say where an image comes from and where results go: URLs, and paths in the delivery stores."""

import re
from collections.abc import Collection, Mapping
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from app.api_settings import Settings
from worker.outbound.client import Refused, check_url
from worker.storage import MAX_STORE_PATH
from worker.validation.fields import Problem, decode_json, shorten

MAX_SEGMENT_BYTES = 255
"""Maximum length of a name in file systems."""

_URLS = ("url", "callback_url")


class Locations(Struct, frozen=True):
    """The locations in a form, which are valid if there are no problems."""

    url: str | None
    """URL of the image."""
    source: str | None
    """Name of a store and the path of the image in it."""
    output_url: str | None
    """URL for the result; for variants, a JSON object."""
    output_prefix: str | None
    """Name of a store and the directory for the results in it."""

    @property
    def image_name(self) -> str | None:
        """The file name of an image that the worker fetches: the last segment of its path, as browsers use it."""
        path = urlsplit(self.url).path if self.url is not None else self.source
        return None if path is None else unquote(path.rpartition("/")[2])

    def output_urls(self, variants: Collection[str], settings: Settings) -> dict[str, str]:
        """Return the URL for each variant that has one; raise `ValueError`, whose message follows the field's name."""
        if self.output_url is None:
            return {}
        urls: object = {"": self.output_url}
        if "" not in variants:
            try:
                urls = decode_json(self.output_url)
            except msgspec.DecodeError:
                urls = None
        if not isinstance(urls, dict) or not urls or not urls.keys() <= set(variants):
            raise ValueError(f"must be a JSON object that maps names of variants to URLs; names: {', '.join(variants)}")
        for url in urls.values():
            if not isinstance(url, str):
                raise ValueError(f"must map names of variants to URLs; got {shorten(url)}")  # noqa: TRY004 - of a client
            if problem := _url_problem(url, settings):
                raise ValueError(problem)
        return urls


NOWHERE = Locations(None, None, None, None)

_FIELDS = {*Locations.__struct_fields__, "callback_url"}


def take_locations(fields: dict[str, str], settings: Settings) -> tuple[Locations, list[Problem]]:
    """Remove the locations from the fields of a form; return them and their problems."""
    if _FIELDS.isdisjoint(fields):
        return NOWHERE, []
    problems = url_problems(fields, settings)
    fields.pop("callback_url", None)
    found = Locations(*(fields.pop(name, None) for name in Locations.__struct_fields__))
    if found.source is not None and "/" not in found.source:  # a task, which `with_upload_of_task` has looked up
        return msgspec.structs.replace(found, source=None), problems
    for name, text in (("source", found.source), ("output_prefix", found.output_prefix)):
        if text is not None and (problem := _store_problem(text, settings, is_file=name == "source")):
            problems.append(Problem(name, problem))
    return found, problems


def url_problems(fields: Mapping[str, str], settings: Settings) -> list[Problem]:
    """Return a problem for each of `url` and `callback_url` that is not allowed."""
    problems = []
    if "callback_url" in fields and not settings.webhook_secrets:
        problems.append(
            Problem("callback_url", "is not available on this server, which has no WEBHOOK_SECRETS; omit it")
        )
    found = ((name, _url_problem(fields[name], settings)) for name in _URLS if name in fields)
    return [*problems, *(Problem(name, problem) for name, problem in found if problem)]


def _url_problem(text: str, settings: Settings) -> str:
    try:
        check_url(text, settings.outbound_allow)
    except Refused as exc:
        return f"{shorten(text)} is not allowed: it {exc}"
    return ""


def _store_problem(text: str, settings: Settings, *, is_file: bool) -> str:
    """Return what is wrong with the name of a store and a path in it, or an empty string."""
    if not settings.delivery_stores:
        return "is not available on this server, which has no DELIVERY_STORES; omit it"
    name, *path = text.removesuffix("" if is_file else "/").split("/")
    if name not in settings.store_urls:
        return f"must begin with the name of a store; got {shorten(text)}; stores: {', '.join(settings.store_urls)}"
    if len(text) > MAX_STORE_PATH:
        return f"must have at most {MAX_STORE_PATH} characters; got {len(text):,}"
    if any(len(part.encode()) > MAX_SEGMENT_BYTES for part in path):
        return f"must have at most {MAX_SEGMENT_BYTES} bytes between two slashes; got {shorten(text)}"
    if any(part in ("", ".", "..") or re.search(r"[\x00-\x1f\x7f\\]", part) for part in path):
        return f"must be a plain path, without empty parts, dots alone, backslashes and controls; got {shorten(text)}"
    return ""
