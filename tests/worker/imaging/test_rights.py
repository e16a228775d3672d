"""Rights and the marking of images made by AI: kept, removed or reported as `metadata` says."""

import struct
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from PIL import ExifTags, Image, IptcImagePlugin
from PIL.PngImagePlugin import PngInfo

from tests.support.hostile import chunk
from tests.support.pictures import decoded, drawing, encoded
from tests.support.rendering import rendered, result
from tests.worker.imaging.test_formats import heic
from worker.imaging.containers.xmp import packet_of_rights
from worker.imaging.formats import OutputFormat
from worker.operations import OPERATIONS
from worker.operations.resize import Resize

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
}


def packet(attributes: str = "", elements: str = "") -> bytes:
    names = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {names}><rdf:Description rdf:about="" {attributes}>{elements}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


RIGHTS = packet(
    'xmpRights:Marked="True" photoshop:Credit="HER AGENCY" xmp:CreatorTool="THE TOOL" '
    f'Iptc4xmpExt:DigitalSourceType="{AI}"',
    "<dc:creator><rdf:Seq><rdf:li>HER NAME</rdf:li></rdf:Seq></dc:creator>"
    '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">HER RIGHTS &amp; MORE</rdf:li></rdf:Alt></dc:rights>'
    "<dc:subject><rdf:Bag><rdf:li>THE SUBJECT</rdf:li></rdf:Bag></dc:subject>"
    "<xmpRights:WebStatement>https://example.com/rights</xmpRights:WebStatement>",
)

OF_RIGHTS = [b"HER AGENCY", b"HER NAME", b"HER RIGHTS &amp; MORE", b"https://example.com/rights"]


def with_xmp(name: str, xmp: bytes) -> bytes:
    image = drawing((60, 40))
    if name == "png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        return encoded(image, "PNG", pnginfo=info)
    if name == "tiff":
        exif = Image.Exif()
        exif[ExifTags.Base.XMLPacket] = xmp
        return encoded(image, "TIFF", exif=exif.tobytes())
    return encoded(image, name.upper(), xmp=xmp)


def xmp_of(data: bytes) -> bytes:
    xmp = decoded(data).info.get("xmp", b"")
    return xmp.encode() if isinstance(xmp, str) else xmp


CARRIERS = ["jpeg", "png", "webp", "avif", "tiff", "jxl"]


@pytest.mark.parametrize("source", CARRIERS)
@pytest.mark.parametrize("target", CARRIERS)
def test_rights_in_xmp_are_kept_with_copyright(source: str, target: str) -> None:
    found = xmp_of(rendered(with_xmp(source, RIGHTS), Resize(width=20), format=target, metadata="copyright"))
    assert all(words in found for words in (*OF_RIGHTS, AI.encode()))
    assert b"THE TOOL" not in found
    assert b"THE SUBJECT" not in found
    description = ET.fromstring(found).find(".//rdf:Description", NAMESPACES)
    assert description is not None
    names = [element.text for element in description.findall("dc:creator/rdf:Seq/rdf:li", NAMESPACES)]
    assert names == ["HER NAME"]
    assert description.findtext("xmpRights:Marked", None, NAMESPACES) == "True"


@pytest.mark.parametrize("source", CARRIERS)
@pytest.mark.parametrize("target", CARRIERS)
def test_the_marking_of_ai_is_kept_unless_none_is_asked_for(source: str, target: str) -> None:
    data = with_xmp(source, RIGHTS)
    found = xmp_of(rendered(data, format=target))
    assert ET.fromstring(found).findtext(".//Iptc4xmpExt:DigitalSourceType", None, NAMESPACES) == AI
    assert not any(words in found for words in OF_RIGHTS)
    assert AI.encode() in xmp_of(rendered(data, format=target, metadata="keep"))
    assert xmp_of(rendered(data, format=target, metadata="none")) == b""
    assert xmp_of(rendered(with_xmp(source, packet('xmp:CreatorTool="x"')), format=target)) == b""


@pytest.mark.parametrize(
    "statement",
    [
        packet(f'Iptc4xmpExt:DigitalSourceType="{AI}"'),
        packet(f"Iptc4xmpExt:DigitalSourceType = '{AI}'"),
        packet("", f"<Iptc4xmpExt:DigitalSourceType>{AI}</Iptc4xmpExt:DigitalSourceType>"),
        packet("", f'<Iptc4xmpExt:DigitalSourceType rdf:resource="{AI}"/>'),
        packet("", f"<Iptc4xmpExt:DigitalSourceType>\n  {AI}\n</Iptc4xmpExt:DigitalSourceType>")[:-30],
    ],
)
def test_the_marking_is_found_however_it_is_written(statement: bytes) -> None:
    assert AI.encode() in xmp_of(rendered(with_xmp("jpeg", statement), format="webp"))


def test_gif_cannot_hold_the_marking_and_says_so() -> None:
    made = result(with_xmp("png", RIGHTS), format="gif")
    assert made.warnings == ("DigitalSourceType, which says how the image was made, is removed; gif has no XMP data",)


def iptc(*datasets: tuple[int, bytes]) -> bytes:
    return b"".join(b"\x1c\x02" + struct.pack(">BH", number, len(value)) + value for number, value in datasets)


def jpeg_with_iptc(data: bytes) -> bytes:
    resource = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(data)) + data + bytes(len(data) % 2)
    content = b"Photoshop 3.0\0" + resource
    plain = encoded(drawing((60, 40)), "JPEG")
    return plain[:2] + b"\xff\xed" + struct.pack(">H", len(content) + 2) + content + plain[2:]


PRESS = iptc((80, b"HER NAME"), (80, "ÉLISE".encode()), (116, b"HER <RIGHTS>"), (110, b"HER AGENCY"), (25, b"KEYWORD"))


@pytest.mark.parametrize("target", CARRIERS)
def test_rights_in_iptc_are_kept_in_xmp_with_copyright(target: str) -> None:
    tiff = encoded(drawing((60, 40)), "TIFF", tiffinfo={33723: PRESS})
    for data in (jpeg_with_iptc(PRESS), tiff):
        found = ET.fromstring(xmp_of(rendered(data, format=target, metadata="copyright")))
        assert [each.text for each in found.findall(".//dc:creator//rdf:li", NAMESPACES)] == ["HER NAME", "ÉLISE"]
        assert found.findtext(".//dc:rights//rdf:li", None, NAMESPACES) == "HER <RIGHTS>"
        assert found.findtext(".//photoshop:Credit", None, NAMESPACES) == "HER AGENCY"
        assert b"KEYWORD" not in ET.tostring(found)


def test_keep_keeps_the_iptc_data_of_a_jpeg() -> None:
    made = rendered(jpeg_with_iptc(PRESS), Resize(width=20), metadata="keep")
    found = IptcImagePlugin.getiptcinfo(decoded(made))  # type: ignore[arg-type]
    assert found is not None
    assert found[2, 116] == b"HER <RIGHTS>"
    assert IptcImagePlugin.getiptcinfo(decoded(rendered(jpeg_with_iptc(PRESS)))) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "xmp",
    [
        b"", b"<", b"<a/>", b"\xff" * 99, b'<!DOCTYPE a [<!ENTITY b "c">]>' + RIGHTS, RIGHTS[:-40],
        b"<a>" * 100_000, b"<dc:rights>" * 9000, b"hdrgm:" * 100_000, b"DigitalSourceType" * 50_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("metadata", ["strip", "keep", "copyright"])
def test_damaged_xmp_does_no_harm(xmp: bytes, metadata: str) -> None:
    data = encoded(drawing((60, 40)), "WEBP", xmp=xmp)
    assert decoded(rendered(data, metadata=metadata, format="webp")).size == (60, 40)


def test_xml_of_any_depth_is_parsed_or_left_out() -> None:
    deep = packet("", "<dc:rights>" + "<a>" * 20_000 + "</a>" * 20_000 + "</dc:rights>")
    assert packet_of_rights(deep, {}) == b""


def jpeg_with_manifest(data: bytes) -> bytes:
    content = b"JP\0\1\0\0\0\1" + struct.pack(">I", 60) + b"jumb" + struct.pack(">I", 38) + b"jumdc2pa" + bytes(28)
    return data[:2] + b"\xff\xeb" + struct.pack(">H", len(content) + 2) + content + data[2:]


def riff_with_manifest(data: bytes) -> bytes:
    grown = data + b"C2PA" + struct.pack("<I", 4) + b"jumb"
    return grown[:4] + struct.pack("<I", len(grown) - 8) + grown[8:]


def bmff_with_manifest(data: bytes) -> bytes:
    return data + struct.pack(">I", 40) + b"uuid" + bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(16)


MANIFESTS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "jpeg": (encoded(drawing((60, 40)), "JPEG"), jpeg_with_manifest),
    "png": (encoded(drawing((60, 40)), "PNG"), lambda data: data[:33] + chunk(b"caBX", b"jumb") + data[33:]),
    "webp": (encoded(drawing((60, 40)), "WEBP"), riff_with_manifest),
    "avif": (encoded(drawing((60, 40)), "AVIF"), bmff_with_manifest),
    "heic": (heic(drawing((60, 40))), bmff_with_manifest),
    "tiff": (
        encoded(drawing((60, 40)), "TIFF"),
        lambda _: encoded(drawing((60, 40)), "TIFF", tiffinfo={0xCD41: b"jumb"}),
    ),
}

REMOVED = "the C2PA manifest (Content Credentials) is removed; it would not be valid for the result"


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_removed_with_a_warning(name: str) -> None:
    plain, add = MANIFESTS[name]
    for metadata in ("strip", "keep", "none"):
        assert result(plain, metadata=metadata).warnings == ()
        made = result(add(plain), metadata=metadata)
        assert made.warnings == (REMOVED,)
        assert b"jumb" not in made.data


def reported(data: bytes) -> dict[str, Any]:
    report: dict[str, Any] = msgspec.json.decode(result(data, OPERATIONS["inspect"]()).data)
    return report


def test_inspect_shows_provenance_and_a_position_in_xmp() -> None:
    report = reported(MANIFESTS["jpeg"][1](with_xmp("jpeg", RIGHTS)))
    assert (report["digital_source_type"], report["has_c2pa"], report["has_gps"]) == (AI, True, False)
    plain = reported(MANIFESTS["jpeg"][0])
    assert (plain["digital_source_type"], plain["has_c2pa"], plain["has_gps"]) == (None, False, False)
    assert reported(with_xmp("png", packet('exif:GPSLatitude="52,31.2N"')))["has_gps"] is True


def test_the_promise_of_a_gain_map_is_not_kept() -> None:
    promise = packet(
        'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" hdrgm:GainMapMax=\'2.5\'',
        '<Container:Directory xmlns:Container="http://ns.google.com/photos/1.0/container/"><rdf:Seq><rdf:li/></rdf:Seq>'
        "</Container:Directory><dc:format>kept</dc:format>",
    )
    found = xmp_of(rendered(with_xmp("jpeg", promise), metadata="keep"))
    assert b"hdrgm:Version" not in found
    assert b"Container:Directory" not in found
    assert b"<dc:format>kept</dc:format>" in found
    ET.fromstring(found)


def test_every_target_is_tried() -> None:
    assert {*CARRIERS, "gif", "jp2"} == {target.value for target in OutputFormat}
