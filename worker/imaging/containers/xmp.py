"""Select properties of XMP packets (ISO 16684-1), and express the rights of IPTC data in XMP."""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

RDF, DC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://purl.org/dc/elements/1.1/"
RIGHTS, PHOTOSHOP = "http://ns.adobe.com/xap/1.0/rights/", "http://ns.adobe.com/photoshop/1.0/"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"

for _prefix, _uri in {"rdf": RDF, "dc": DC, "xmpRights": RIGHTS, "photoshop": PHOTOSHOP, "Iptc4xmpExt": IPTC}.items():
    ET.register_namespace(_prefix, _uri)

_KEPT_FOR_RIGHTS = (f"{{{RIGHTS}}}", f"{{{DC}}}rights", f"{{{DC}}}creator", f"{{{PHOTOSHOP}}}Credit")
"""Names of properties about rights, or their beginnings."""

MAX_BYTES = 1024 * 1024
"""Maximum size of a packet that is parsed."""

_SOURCE_TYPE = re.compile(
    rb"""DigitalSourceType(?:\s{0,9}=\s{0,9}["']|\s{1,9}rdf:resource\s{0,9}=\s{0,9}["']|\s{0,9}>\s{0,9})"""
    rb"""(https?://[^"'<>\s&]{1,200})"""
)

_STALE = re.compile(
    rb"""tiff:Orientation=["']\d["']|<tiff:Orientation>\d</tiff:Orientation>"""
    rb"""|hdrgm:\w{1,40}=(?:"[^"]{0,200}"|'[^']{0,200}')"""
    # `|\Z`, or a file of opening tags takes hours.
    rb"|<(xmp|xap):Thumbnails\b.*?(?:</\1:Thumbnails>|\Z)"
    rb"|<(hdrgm:\w{1,40}|Container:Directory)\b.*?(?:</\2>|\Z)",
    re.DOTALL,
)
"""Properties about the old file: its orientation, thumbnails and gain map."""


def packet_of(info: Mapping[Any, Any]) -> bytes:
    """Return the packet in the `info` of one of Pillow's images, or b"" if it is missing."""
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    return xmp.encode() if isinstance(xmp, str) else xmp


def without_stale(xmp: bytes) -> bytes:
    """Return a packet without what only applied to the old file."""
    return _STALE.sub(b"", xmp)


def digital_source_type(xmp: bytes) -> str | None:
    """Return the URI that says how an image was made, such as by an AI (IPTC Photo Metadata, Digital Source Type)."""
    found = _SOURCE_TYPE.search(xmp)
    return found[1].decode(errors="replace") if found else None


def has_gps(xmp: bytes) -> bool:
    return b"exif:GPSLatitude" in xmp or b"exif:GPSLongitude" in xmp


def packet_of_source_type(uri: str) -> bytes:
    return _packet(f"<Iptc4xmpExt:DigitalSourceType>{escape(uri)}</Iptc4xmpExt:DigitalSourceType>")


def with_description(xmp: bytes, description: str) -> bytes:
    """Return a packet with a further rdf:Description; a new one if `xmp` has no place for it."""
    before, end, after = xmp.rpartition(b"</rdf:RDF>")
    if not end:
        before, end, after = _packet("").rpartition(b"</rdf:RDF>")
    return before + description.encode() + end + after


def packet_of_rights(xmp: bytes, iptc: Mapping[tuple[int, int], Any]) -> bytes:
    """Return a packet with the rights of a packet and of IPTC data, and how the image was made; b"" if there are none.

    A packet that cannot be parsed has no rights.
    """
    kept = {name: content for name, content in _properties(xmp) if name.startswith(_KEPT_FOR_RIGHTS)}
    for name, content in _iptc_properties(iptc):
        kept.setdefault(name, content)
    uri = digital_source_type(xmp)
    if uri is not None:
        kept[f"{{{IPTC}}}DigitalSourceType"] = (
            f"<Iptc4xmpExt:DigitalSourceType>{escape(uri)}</Iptc4xmpExt:DigitalSourceType>"
        )
    return _packet("".join(kept.values())) if kept else b""


def _properties(xmp: bytes) -> list[tuple[str, str]]:
    """Return the name and the XML element of each property."""
    if len(xmp) > MAX_BYTES or b"<!" in xmp:  # entities may grow without bounds
        return []
    try:
        root = ET.fromstring(xmp.strip(b"\0 \r\n\t"))  # noqa: S314 - there are no entities
        return [each for description in root.iter(f"{{{RDF}}}Description") for each in _described(description)]
    except (ET.ParseError, ValueError, RecursionError):
        return []


def _described(description: ET.Element) -> Iterator[tuple[str, str]]:
    for name, value in description.items():
        element = ET.Element(name)
        element.text = value
        yield name, ET.tostring(element, encoding="unicode")
    for element in description:
        element.tail = None
        yield element.tag, ET.tostring(element, encoding="unicode")


_IPTC_RIGHTS = {(2, 80): ("creator", "Seq"), (2, 116): ("rights", "Alt")}
"""By-line and copyright notice -> property of Dublin Core and its container (IPTC Photo Metadata, mapping)."""

_IPTC_CREDIT = (2, 110)


def _iptc_properties(iptc: Mapping[tuple[int, int], Any]) -> list[tuple[str, str]]:
    properties = []
    for dataset, (name, container) in _IPTC_RIGHTS.items():
        texts = _texts(iptc.get(dataset))
        if texts:
            language = ' xml:lang="x-default"' if container == "Alt" else ""
            items = "".join(f"<rdf:li{language}>{escape(text)}</rdf:li>" for text in texts)
            content = f"<dc:{name}><rdf:{container}>{items}</rdf:{container}></dc:{name}>"
            properties.append((f"{{{DC}}}{name}", content))
    credit = _texts(iptc.get(_IPTC_CREDIT))
    if credit:
        content = f"<photoshop:Credit>{escape(credit[0])}</photoshop:Credit>"
        properties.append((f"{{{PHOTOSHOP}}}Credit", content))
    return properties


def _texts(value: Any) -> list[str]:
    """Decode a dataset, which may be repeated: as UTF-8, or else as Latin-1; control characters are left out."""
    values = value if isinstance(value, list) else [] if value is None else [value]
    texts = [_decoded(each) for each in values if isinstance(each, bytes)]
    return [text for text in ("".join(char for char in text if char.isprintable()) for text in texts) if text]


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _packet(properties: str) -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="" xmlns:dc="{DC}" xmlns:photoshop="{PHOTOSHOP}" '
        f'xmlns:xmpRights="{RIGHTS}" xmlns:Iptc4xmpExt="{IPTC}">{properties}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()
