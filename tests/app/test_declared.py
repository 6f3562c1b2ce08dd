"""What files declare of AI without a signature: one file a mark and container, made here, each named rightly; hostile ones bounded."""

import io
import json
import struct
import zlib

import av
import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from provenance_kit import make_audio, make_jxl, make_video, picture, write_mp4

import gioconda
from gioconda import report as render
from gioconda.cli import main
from gioconda.report import declared, metadata, rows
from gioconda.report.requirements import Policy
from gioconda.report.view import view
from gioconda_core.types import ProvenanceState
from provenance.vocabulary import XMP_BOX

TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
LABEL = {
    "Label": "1",
    "ContentProducer": "00119144030010000000X",
    "ProduceID": "a1b2c3",
    "ReservedCode1": "",
    "ContentPropagator": "P",
    "PropagateID": "9",
    "ReservedCode2": "",
}
WEBUI = "a portrait\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1234, Model: sd15"
COMFY = '{"3": {"class_type": "KSampler", "inputs": {"seed": 1}}}'


def xmp(**fields):
    """A packet with these fields: a prefix, two underscores, a name."""
    spaces = {
        "iptc": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
        "photoshop": "http://ns.adobe.com/photoshop/1.0/",
        "xmp": "http://ns.adobe.com/xap/1.0/",
        "tc260": "http://www.tc260.org.cn/ns/AIGC/1.0/",
    }
    body = "".join(
        f"<{name.replace('__', ':')}>{value.replace('&', '&amp;').replace('<', '&lt;')}</{name.replace('__', ':')}>"
        for name, value in fields.items()
    )
    named = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in spaces.items())
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        f'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""{named}>{body}'
        "</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    ).encode()


def source(term):
    return xmp(iptc__DigitalSourceType=TERMS + term)


TRAINED = source("trainedAlgorithmicMedia")


def still(suffix, packet=b"", exif=None, text=None):
    """A picture's bytes in one format, with its metadata where that format keeps it."""
    out = io.BytesIO()
    options = {}
    if packet:
        options["xmp"] = packet
    if exif:
        made = Image.Exif()
        for tag, value in exif.items():
            if tag == 0x9286:
                made.get_ifd(0x8769)[tag] = value
            else:
                made[tag] = value
        options["exif"] = made.tobytes()
    if suffix == "png":
        info = PngImagePlugin.PngInfo()
        for name, value in (text or {}).items():
            info.add_text(name, value)
        if packet:
            info.add_itxt("XML:com.adobe.xmp", packet.decode())
        options = {"pnginfo": info}
    kind = {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper())
    if suffix in ("gif", "tif"):
        options.pop("xmp", None)
    if suffix == "tif" and packet:
        options["tiffinfo"] = {700: packet}
    Image.fromarray(picture(48)).save(out, kind, **options)
    data = out.getvalue()
    if suffix == "gif" and packet:  # XMP part 3, 1.1.2: the packet as it is, then 257 bytes that end its blocks
        block = b"\x21\xff\x0bXMP DataXMP" + packet + b"\x01" + bytes(range(255, -1, -1)) + b"\0\0"
        at = 13 + 3 * (2 << (data[10] & 7))
        data = data[:at] + block + data[at:]
    return data


def iim(credit):
    """A JPEG with an IPTC-IIM credit line in its Photoshop resources."""
    line = b"\x1c\x02n" + struct.pack(">H", len(credit)) + credit
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(line)) + line + bytes(len(line) % 2)
    segment = b"Photoshop 3.0\0" + resource
    data = still("jpg")
    return data[:2] + b"\xff\xed" + struct.pack(">H", 2 + len(segment)) + segment + data[2:]


def boxed(path, packet):
    """A clip with an XMP box at its end."""
    with open(path, "ab") as file:
        file.write(struct.pack(">I", 24 + len(packet)) + b"uuid" + XMP_BOX + packet)


def movie(path, packet=b"", **tags):
    if path.suffix == ".mov":
        make_video(path, "h264")
    else:
        write_mp4(path)
    if tags:
        plain = path.with_name("plain" + path.suffix)
        path.rename(plain)
        with av.open(str(plain)) as have, av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as out:
            stream = out.add_stream_from_template(have.streams.video[0])
            out.metadata.update(tags)
            for packet_ in have.demux(video=0):
                if packet_.dts is not None:
                    packet_.stream = stream
                    out.mux(packet_)
    if packet:
        boxed(path, packet)


def sound(path, **tags):
    make_audio(path, "libmp3lame")
    frames = b"".join(
        b"TXXX" + struct.pack(">I", 2 + len(name) + len(value)) + b"\0\0\0" + name.encode() + b"\0" + value.encode()
        for name, value in tags.items()
    )
    sized = bytes((len(frames) >> shift) & 127 for shift in (21, 14, 7, 0))
    data = path.read_bytes()
    old = 10 + sum((data[6 + i] & 127) << (21 - 7 * i) for i in range(4)) if data[:3] == b"ID3" else 0
    path.write_bytes(b"ID3\x03\0\0" + sized + frames + data[old:])


def private(path, packet):
    """ID3 as programs write XMP into it: a PRIV frame whose owner is XMP."""
    make_audio(path, "libmp3lame")
    frame = b"PRIV" + struct.pack(">I", 4 + len(packet)) + b"\0\0XMP\0" + packet
    sized = bytes((len(frame) >> shift) & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + sized + frame + path.read_bytes())


def jxl(path, packet):
    make_jxl(path)
    with open(path, "ab") as file:
        file.write(struct.pack(">I", 8 + len(packet)) + b"xml " + packet)


MADE, EDITED, USED, NONE = "made", "edited", "used", "none"
JSON_LABEL = json.dumps(LABEL)
# name → (how it is made, the marks it must be told by: kind, of AI, value)
FILES = {
    **{
        f"trained.{suffix}": (
            lambda p: p.write_bytes(still(p.suffix[1:], TRAINED)),
            [("source-type", MADE, "trainedAlgorithmicMedia")],
        )
        for suffix in ("jpg", "png", "webp", "gif", "tif", "avif")
    },
    "trained.heic": (
        lambda p: p.write_bytes(still("avif", TRAINED)),
        [("source-type", MADE, "trainedAlgorithmicMedia")],
    ),
    "trained.jxl": (lambda p: jxl(p, TRAINED), [("source-type", MADE, "trainedAlgorithmicMedia")]),
    "trained.mp4": (lambda p: movie(p, TRAINED), [("source-type", MADE, "trainedAlgorithmicMedia")]),
    "trained.mov": (lambda p: movie(p, TRAINED), [("source-type", MADE, "trainedAlgorithmicMedia")]),
    "trained.mp3": (lambda p: private(p, TRAINED), [("source-type", MADE, "trainedAlgorithmicMedia")]),
    "bare-word.jpg": (
        lambda p: p.write_bytes(still("jpg", xmp(iptc__DigitalSourceType="trainedAlgorithmicMedia"))),
        [("source-type", MADE, "trainedAlgorithmicMedia")],
    ),
    "composite.jpg": (
        lambda p: p.write_bytes(still("jpg", source("compositeWithTrainedAlgorithmicMedia"))),
        [("source-type", EDITED, "compositeWithTrainedAlgorithmicMedia")],
    ),
    "synthetic.jpg": (
        lambda p: p.write_bytes(still("jpg", source("compositeSynthetic"))),
        [("source-type", EDITED, "compositeSynthetic")],
    ),
    "algorithm.jpg": (
        lambda p: p.write_bytes(still("jpg", source("algorithmicMedia"))),
        [("source-type", NONE, "algorithmicMedia")],
    ),
    "capture.jpg": (
        lambda p: p.write_bytes(still("jpg", source("digitalCapture"))),
        [("source-type", NONE, "digitalCapture")],
    ),
    "unknown.jpg": (lambda p: p.write_bytes(still("jpg", source("brandNew"))), [("source-type", NONE, "brandNew")]),
    "google.jpg": (
        lambda p: p.write_bytes(still("jpg", xmp(photoshop__Credit="Made with Google AI"))),
        [("words", MADE, "Made with Google AI")],
    ),
    "google-edit.jpg": (
        lambda p: p.write_bytes(iim(b"Edited with Google AI")),
        [("words", EDITED, "Edited with Google AI")],
    ),
    "system.jpg": (
        lambda p: p.write_bytes(still("jpg", xmp(iptc__AISystemUsed="Sora", iptc__AIPromptInformation="a cat"))),
        [("system", USED, "Sora"), ("prompt", USED, "a cat")],
    ),
    "label.jpg": (lambda p: p.write_bytes(still("jpg", xmp(tc260__AIGC=JSON_LABEL))), [("aigc", MADE, "1")]),
    "label.png": (lambda p: p.write_bytes(still("png", xmp(tc260__AIGC=JSON_LABEL))), [("aigc", MADE, "1")]),
    "possible.jpg": (
        lambda p: p.write_bytes(still("jpg", xmp(tc260__AIGC=json.dumps(LABEL | {"Label": "2"})))),
        [("aigc", "possible", "2")],
    ),
    "suspected.jpg": (
        lambda p: p.write_bytes(still("jpg", xmp(tc260__AIGC=json.dumps(LABEL | {"Label": 3})))),
        [("aigc", "suspected", "3")],
    ),
    "label-exif.jpg": (
        lambda p: p.write_bytes(still("jpg", exif={0x9286: b"ASCII\0\0\0" + json.dumps({"AIGC": LABEL}).encode()})),
        [("aigc", MADE, "1")],
    ),
    "label.mp4": (lambda p: movie(p, AIGC=JSON_LABEL), [("aigc", MADE, "1")]),
    "label.mp3": (lambda p: sound(p, AIGC=JSON_LABEL), [("aigc", MADE, "1")]),
    "webui.png": (
        lambda p: p.write_bytes(still("png", text={"parameters": WEBUI})),
        [("generator", MADE, "Stable Diffusion")],
    ),
    "webui.jpg": (
        lambda p: p.write_bytes(still("jpg", exif={0x9286: b"UNICODE\0" + WEBUI.encode("utf-16-be")})),
        [("generator", MADE, "Stable Diffusion")],
    ),
    "webui.webp": (
        lambda p: p.write_bytes(still("webp", exif={0x9286: b"UNICODE\0" + WEBUI.encode("utf-16-le")})),
        [("generator", MADE, "Stable Diffusion")],
    ),
    "comfy.png": (lambda p: p.write_bytes(still("png", text={"prompt": COMFY})), [("generator", MADE, "ComfyUI")]),
    "comfy.mp4": (lambda p: movie(p, prompt=COMFY), [("generator", MADE, "ComfyUI")]),
    "novelai.png": (
        lambda p: p.write_bytes(still("png", text={"Software": "NovelAI", "Title": "AI generated image"})),
        [("generator", MADE, "NovelAI"), ("words", MADE, "AI generated image")],
    ),
    "invokeai.png": (
        lambda p: p.write_bytes(still("png", text={"invokeai_metadata": "{}"})),
        [("generator", MADE, "InvokeAI")],
    ),
    "midjourney.png": (
        lambda p: p.write_bytes(
            still("png", text={"Description": "a cat --ar 3:2 --v 6 Job ID: 1d7ad0b4-0000-0000-0000-000000000000"})
        ),
        [("generator", MADE, "Midjourney")],
    ),
    "firefly.jpg": (
        lambda p: p.write_bytes(still("jpg", xmp(xmp__CreatorTool="Adobe Firefly"))),
        [("tool", USED, "Adobe Firefly")],
    ),
    "dalle.jpg": (lambda p: p.write_bytes(still("jpg", exif={0x131: "DALL-E 3"})), [("tool", USED, "DALL·E (OpenAI)")]),
    "sora.mp4": (lambda p: movie(p, title="Sora"), [("tool", NONE, "Sora (OpenAI)")]),
    "words.jpg": (
        lambda p: p.write_bytes(still("jpg", exif={0x10E: "Generated with AI"})),
        [("words", MADE, "Generated with AI")],
    ),
    "grok.jpg": (
        lambda p: p.write_bytes(
            still("jpg", exif={0x13B: "b7f1e3a2-1111-4222-8333-944455556666", 0x10E: "Signature: abcd/efgh=="})
        ),
        [("generator", MADE, "Grok (xAI)")],
    ),
    "camera.jpg": (
        lambda p: p.write_bytes(still("jpg", exif={0x10F: "Apple", 0x131: "17.1", 0x10E: "my aim is a fair picture"})),
        [],
    ),
    "site.mp4": (lambda p: movie(p, comment="vid:v12044gd0000cabc", title="Soraya in the said garden"), []),
    "plain.png": (lambda p: p.write_bytes(still("png")), []),
}


@pytest.mark.usefixtures("metadata_here")
@pytest.mark.parametrize("name", FILES)
def test_every_mark_is_named_in_every_container(tmp_path, name):
    make, expected = FILES[name]
    path = tmp_path / name
    make(path)
    found = metadata._child(str(path))
    told = [(mark["kind"], mark["ai"], mark["value"]) for mark in found["declared"]]
    assert sorted(told) == sorted(expected), (told, found["metadata"])
    for lang in ("en", "ja"):
        from gioconda.report.wording import say

        said = [say(item, lang) for item in declared.sentences(found["declared"])]
        assert len(said) == (len(expected) + 1 if expected else 0) and "{" not in "".join(said)
    if expected and any(ai != NONE for _, ai, _ in expected):
        assert declared.short(found["declared"]) and declared.names_ai(found["declared"])
    else:
        assert declared.short(found["declared"]) is None


ABOUT = "How AI-generated fakes spread"
DENIAL = "This photograph was not made with AI."


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("text", "Title", "Imagen de portada"), ("text", "Title", "Gemini and Taurus, winter sky")], []),
        ([("text", "title", "OpenAI CEO speaks to parliament"), ("text", "title", "Grok: what the chatbot said")], []),
        ([("text", "Source", "Gemini North telescope"), ("EXIF", "Software", "Gemini Photo Editor 3")], []),
        (
            [
                ("text", "Description", "Sculpture created by Ai Weiwei, 2010"),
                ("text", "Comment", "Edited by Ai Tanaka"),
            ],
            [],
        ),
        ([("text", "parameters", "gain=3, exposure=0.2"), ("text", "workflow", '{"nodes": [1], "name": "etl"}')], []),
        ([("text", "dream", "I have one")], []),
        ([("XMP", "AISystemUsed", "None"), ("XMP", "AISystemUsed", "n/a")], []),
        (
            [("text", "title", ABOUT), ("text", "Description", DENIAL)],
            [("words", NONE, ABOUT), ("words", NONE, DENIAL)],
        ),
        ([("text", "Description", "AI-generated? No.")], [("words", NONE, "AI-generated? No.")]),
        ([("text", "Source", "Stable Diffusion XL 9CC2F394")], [("tool", NONE, "Stable Diffusion")]),
        (
            [("XMP", "DigitalSourceType", "digsrctype:trainedAlgorithmicMedia")],
            [("source-type", MADE, "trainedAlgorithmicMedia")],
        ),
        (
            [("XMP", "DigitalSourceType", TERMS + "TrainedAlgorithmicMedia/")],
            [("source-type", MADE, "TrainedAlgorithmicMedia")],
        ),
        ([("EXIF", "Software", "Google Gemini")], [("tool", USED, "Google AI")]),
        ([("XMP", "description", "AI-generated image.")], [("words", MADE, "AI-generated image.")]),
        ([("text", "comment", "AI生成")], [("words", MADE, "AI生成")]),
    ],
)
def test_a_file_that_speaks_of_ai_does_not_declare_it(fields, expected):
    """A title, a denial, a man called Ai, a telescope: "the file declares that AI made it" was said of each."""
    found = declared.marks(declared.Field(*field) for field in fields)
    assert [(mark["kind"], mark["ai"], mark["value"]) for mark in found] == expected
    declares = any(ai != NONE for _, ai, _ in expected)
    assert bool(declared.short(found)) == declares == declared.names_ai(found)


@pytest.mark.usefixtures("metadata_here")
def test_a_label_tells_its_producer_and_propagator(tmp_path):
    path = tmp_path / "label.jpg"
    FILES["label.jpg"][0](path)
    shown = render.text(gioconda.check(path, detectors=(), sandbox=False)).replace("\n", " ")
    for part in ("00119144030010000000X", "a1b2c3", "propagator P", "GB 45438-2025"):
        assert part in " ".join(shown.split()), shown


@pytest.mark.usefixtures("metadata_here")
def test_the_report_says_it_first_in_full_and_as_unsigned(tmp_path):
    path = tmp_path / "trained.jpg"
    FILES["trained.jpg"][0](path)
    report = gioconda.check(path, detectors=(), sandbox=False)
    shown = view(report)
    assert "trained model (AI) made what is shown" in shown.short[-1] and "not signed" in shown.short[-1]
    assert any("trainedAlgorithmicMedia" in line for line in shown.origin)
    assert any("anybody can write or remove" in line for line in shown.origin)
    assert not [s for s in report.facts["signs"] if s["key"] == "sign.bare"]
    row = rows.row(report)
    assert row.declared_ai is True and "trainedAlgorithmicMedia" in row.declared
    assert '"declared/ai"' in render.sarif(report)
    header, line = render.csv(report).splitlines()
    assert "declared_ai" in header and "True" in line
    plain = tmp_path / "plain.png"
    FILES["plain.png"][0](plain)
    assert rows.row(gioconda.check(plain, detectors=(), sandbox=False)).declared_ai is False


def test_nothing_is_said_to_be_missing_where_the_looking_failed():
    assert metadata.signs({"metadata": {}, "error": {"code": "metadata-unread", "detail": {}}}) == []


@pytest.mark.usefixtures("metadata_here")
def test_fail_on_declared_ai_counts_signed_and_unsigned_marks(tmp_path, capsys):
    FILES["trained.jpg"][0](tmp_path / "trained.jpg")
    FILES["capture.jpg"][0](tmp_path / "capture.jpg")
    check = ["-q", "check", "--detectors", "none", "--fail-on", "declared-ai"]
    assert main([*check, str(tmp_path / "capture.jpg")]) == 0
    assert main([*check, str(tmp_path / "trained.jpg")]) == 3
    policy = Policy("declared-ai")
    assert not policy.tripped(rows.Row("a", state=ProvenanceState.INVALID, says_ai=True))
    assert policy.tripped(rows.Row("a", state=ProvenanceState.VALID, says_ai=True))
    audit = ["-q", "audit", str(tmp_path), "--detectors", "none", "--out", str(tmp_path / "out")]
    assert main([*audit, "--fail-on", "declared-ai"]) == 3


def bomb():
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "x" * 100}">' for i in range(12))
    return f"<!DOCTYPE x [{entities}]><x:xmpmeta xmlns:x='adobe:ns:meta/'>&a11;</x:xmpmeta>".encode()


HOSTILE = {
    "entities": bomb(),
    "nested": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + b"<a>" * 200_000 + b"</a>" * 200_000 + b"</x:xmpmeta>",
    "long": b"<x:xmpmeta>" + b"y" * (declared.PACKET + 1) + b"</x:xmpmeta>",
    "torn": TRAINED[: len(TRAINED) // 2],
    "binary": bytes(range(256)) * 40,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_packet_declares_nothing_and_costs_nothing(name):
    with pytest.raises(ValueError):
        declared.xmp_fields(HOSTILE[name])


def test_many_fields_and_long_values_are_bounded():
    wide = xmp(iptc__AISystemUsed="x" * 1_000_000).replace(
        b"</rdf:Description>", b"<iptc:AISystemUsed>s</iptc:AISystemUsed>" * 5000 + b"</rdf:Description>"
    )
    fields = declared.xmp_fields(wide)
    assert len(fields) == declared.FIELDS and all(len(field.value) <= declared.TEXT for field in fields)
    assert all(len(mark["value"]) <= declared.VALUE for mark in declared.marks(fields))
    deep = "[" * 100_000 + "]" * 100_000
    assert declared.marks([declared.Field("text", "aigc", deep), declared.Field("text", "aigc", "7")]) == []


@pytest.mark.slow
def test_a_gigabyte_of_text_in_a_picture_is_given_up(tmp_path):
    """A chunk of a gigabyte, which is a hole in the file: the reading ends within its limits."""
    path = tmp_path / "huge.png"
    data = still("png")
    head = struct.pack(">I", 1 << 30) + b"tEXtparameters\0"
    with open(path, "wb") as file:
        file.write(data[:33] + head)
        file.seek((1 << 30) - 11, io.SEEK_CUR)
        file.write(struct.pack(">I", zlib.crc32(b"")) + data[33:])
    found = metadata.inspect(path)
    assert not found.get("declared") and isinstance(found["metadata"], dict)


def test_the_xmp_of_a_thumbnail_in_the_credential_is_not_the_files_own(tmp_path):
    """A store of credentials may hold pictures of other files; what they declare is theirs."""
    path = tmp_path / "clip.mp4"
    write_mp4(path)
    store = still("jpg", TRAINED)
    with open(path, "ab") as file:
        file.write(
            struct.pack(">I", 24 + len(store)) + b"uuid" + bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + store
        )
    assert metadata._child(str(path))["declared"] == []
    assert np.asarray(Image.open(io.BytesIO(store))).shape == (48, 48, 3)


@pytest.mark.parametrize(
    ("script", "reader"),
    [
        (
            'echo \'[{"ExifTool:ExifToolVersion": 13.1, "XMP:AISystemUsed": "Veo", "Composite:Megapixels": 1}]\'',
            "ExifTool 13.1",
        ),
        ("echo no JSON", ""),
        ("sleep 20", ""),
        (None, ""),
    ],
)
def test_exiftool_is_asked_where_it_is_installed_and_the_report_names_the_reader(tmp_path, monkeypatch, script, reader):
    (tmp_path / "bin").mkdir()
    if script:
        tool = tmp_path / "bin" / "exiftool"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
    monkeypatch.setenv(
        "PATH", f"{tmp_path / 'bin'}:/nowhere" if script is None else f"{tmp_path / 'bin'}:/bin:/usr/bin"
    )
    monkeypatch.setattr(metadata, "_EXIFTOOL", 0.5)
    Image.fromarray(picture()).save(tmp_path / "a.png")
    found = metadata._child(str(tmp_path / "a.png"))
    assert found["reader"] == ", ".join(filter(None, ("Pillow, ExifRead", reader)))
    assert [mark["value"] for mark in found["declared"]] == (["Veo"] if reader else [])


def test_two_readers_of_one_mark_say_it_once():
    one = {"kind": "tool", "ai": "used", "field": "EXIF Software", "value": "Stable Diffusion"}
    generator = {"kind": "generator", "ai": "made", "field": "text parameters", "value": "Stable Diffusion"}
    other = {"kind": "words", "ai": "made", "field": "XMP Credit", "value": "Made with AI"}
    assert declared.together([one], [{**one, "field": "EXIF IFD0"}, other]) == [one, other]
    assert declared.together([generator], [one]) == [generator]
