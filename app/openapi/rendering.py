"""Encode the documents of the documentation; each is built at the first request and cached."""

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from html import escape
from typing import Any

import msgspec
from starlette.routing import BaseRoute

from app.api_settings import Settings
from app.http.description import JSON
from app.http.responses import File, compress
from app.openapi.document import document
from app.openapi.example_calls import ORIGIN
from app.openapi.llms import llms_text
from app.openapi.postman.collection import collection
from app.openapi.reference import page
from app.tasks.presets import Presets


class Documents:
    """The documentation of the routes under the given settings."""

    def __init__(self, routes: Sequence[BaseRoute], settings: Settings, presets: Presets) -> None:
        self._input_formats = settings.input_formats
        self._describe: Callable[[], dict[str, Any]] = lambda: document(routes, settings, presets)
        # By the base URL of the request; a few, because anybody can send any Host to a server with API keys.
        self.openapi: Callable[[str], File] = lru_cache(maxsize=8)(self._openapi)
        self.postman: Callable[[str], File] = lru_cache(maxsize=8)(self._collection)
        self.page: Callable[[str], File] = lru_cache(maxsize=8)(self._page)
        self.llms: Callable[[str], File] = lru_cache(maxsize=8)(self._llms)

    @cached_property
    def _document(self) -> dict[str, Any]:
        # Examples are structs until here.
        described: dict[str, Any] = msgspec.to_builtins(self._describe())
        return described

    @cached_property
    def _page_of_any_origin(self) -> str:
        return page(self._document)

    def _page(self, address: str) -> File:
        return compress(self._page_of_any_origin.replace(ORIGIN, escape(address)).encode(), "text/html")

    def _openapi(self, address: str) -> File:
        located = {**self._document, "servers": [{"url": address}]}
        return compress(msgspec.json.encode(located) + b"\n", JSON)

    def _collection(self, address: str) -> File:
        whole = collection(self._document, address, self._input_formats)
        return compress(msgspec.json.encode(whole) + b"\n", JSON)

    def _llms(self, address: str) -> File:
        return compress(llms_text(self._document, address).encode(), "text/plain")
