"""Read a multipart request body (RFC 7578) as a stream of parts, with one chunk in memory at a time."""

from collections import deque
from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header

from app.http.exceptions import MalformedForm

MAX_FIELD_BYTES = 64 * 1024
MAX_PARTS = 100


_FORM = b"multipart/form-data"


class Part:
    """A part of the form: the field name, the file name if it is a file, and its bytes, which can be read once."""

    def __init__(self, name: str, file_name: str | None, reader: "FormReader") -> None:
        self.name = name
        self.file_name = file_name
        self._reader = reader
        self._is_read = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the remaining bytes."""
        while not self._is_read:
            chunk = await self._reader.next_event()
            if isinstance(chunk, Part):
                raise TypeError("parts must be read in order, each to its end")
            if chunk is None:
                self._is_read = True
            else:
                yield chunk

    async def text(self) -> str:
        """Return the value of a field; raise `MalformedForm` if it is longer than `MAX_FIELD_BYTES`."""
        value = bytearray()
        async for chunk in self.chunks():
            value += chunk
            if len(value) > MAX_FIELD_BYTES:
                raise MalformedForm(f"field {self.name[:40]!r} must have at most {MAX_FIELD_BYTES:,} bytes")
        return _decode(bytes(value))


class FormReader:
    """Feeds chunks to python-multipart's parser and yields the parts."""

    def __init__(self, content_type: str | None, body: AsyncIterator[bytes]) -> None:
        kind, options = parse_options_header(content_type)
        if kind != _FORM or not options.get(b"boundary"):
            hint = "; do not set the header yourself, the client adds it with its boundary" if kind == _FORM else ""
            raise MalformedForm(
                "the request must be a form (Content-Type multipart/form-data with a boundary, or "
                f"application/x-www-form-urlencoded), or an image with the fields in the query{hint}"
            )
        self._body = body
        # A Part, then its bytes, then None, repeated.
        self._events: deque[Part | bytes | None] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._header_name = b""
        self._header_value = b""
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": lambda data, start, end: self._events.append(data[start:end]),
                    "on_part_end": lambda: self._events.append(None),
                },
            )
        except FormParserError as exc:
            raise MalformedForm(f"the form cannot be read: {exc}") from exc

    async def parts(self, most: int = MAX_PARTS) -> AsyncIterator[Part]:
        """Yield the parts in order, at most `most`; each must be read to its end before the next.

        The file inputs that a web page's form sends empty are left out.
        """
        count = 0
        while (event := await self.next_event()) is not None:
            if not isinstance(event, Part):
                raise TypeError("parts must be read in order, each to its end")
            count += 1
            if count > most:
                raise MalformedForm(f"the form has more than {most} fields")
            if event.file_name == "":
                if (first := await self.next_event()) is None:
                    continue
                self._events.appendleft(first)
            yield event

    async def next_event(self) -> Part | bytes | None:
        while not self._events:
            chunk = await anext(self._body, b"")
            if not chunk:
                if self._parser.state != MultipartState.END:
                    raise MalformedForm("the form ends before its closing boundary")
                return None
            try:
                self._parser.write(chunk)
            except FormParserError as exc:
                raise MalformedForm(f"the form does not match the boundary of its Content-Type: {exc}") from exc
        return self._events.popleft()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise MalformedForm("a part of the form has no name in its Content-Disposition")
        file_name = options.get(b"filename")
        self._events.append(Part(_decode(options[b"name"]), None if file_name is None else _decode(file_name), self))


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
