"""The signed statement beside the file's own metadata: what agrees, what differs, and what only the signer states."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from provenance_kit import created, picture

from gioconda.cli import main
from gioconda.report import compared, declared, metadata
from gioconda.report.compared import Agreement
from gioconda.report.wording import say
from provenance.reading.read import read
from provenance.signing import sign

STATED = {
    "c2pa.metadata": {
        "@context": {"exif": "http://ns.adobe.com/exif/1.0/", "tiff": "http://ns.adobe.com/tiff/1.0/"},
        "tiff:Make": "Example",
        "tiff:Model": "Camera 7",
        "exif:DateTimeOriginal": "2026-05-01T10:20:30+02:00",
        "exif:GPSLatitude": "39,21.102N",
        "exif:GPSLongitude": "nowhere",
    },
    "cawg.metadata": {
        "@context": {"dc": "http://purl.org/dc/elements/1.1/"},
        "dc:creator": ["Ada Example"],
        "dc:rights": "all reserved",
    },
    "org.example.desk": {"creator": "not one of these"},
}


@pytest.fixture
def photograph(tmp_path):
    """A JPEG whose EXIF says who, with what, when and where."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x013B] = "Example", "Camera 8", "ada  EXAMPLE"
    exif.get_ifd(0x8769)[0x9003] = "2026:05:01 10:20:30"
    exif.get_ifd(0x8825)[1], exif.get_ifd(0x8825)[2] = "N", (39.0, 21.0, 6.12)
    exif.get_ifd(0x8825)[3], exif.get_ifd(0x8825)[4] = "E", (1.0, 2.0, 3.0)
    Image.fromarray(np.repeat(np.repeat(picture(), 4, 0), 4, 1)).save(tmp_path / "photo.jpg", exif=exif)
    return sign.sign_file(tmp_path / "photo.jpg", tmp_path / "signed.jpg", created(assertions=STATED))


def test_each_fact_is_held_beside_the_files_own(photograph):
    found = metadata._child(str(photograph))
    told = {
        item.field: item.agreement for item in compared.compare(read(photograph), found["metadata"], found["declared"])
    }
    assert told == {
        "Make": Agreement.SAME,
        "Model": Agreement.DIFFERS,
        "Recorded date": Agreement.SAME,
        "Latitude": Agreement.SAME,
        "Longitude": Agreement.UNCOMPARED,
        "Artist": Agreement.SAME,
        "Copyright": Agreement.SIGNED_ONLY,
    }
    for own, signed, agreement in (
        ("2026-05-01T08:20:30Z", "", Agreement.SAME),
        ("UTC 2026-05-01 08:20:30", "", Agreement.SAME),
        ("2026-05-01T10:20:30Z", "", Agreement.DIFFERS),
        ("2026:05:01 11:20:30", "", Agreement.DIFFERS),
        ("2026:05:01 10:20:30", "2026-05-01T08:20:30Z", Agreement.UNCOMPARED),  # of which zone nobody says
    ):
        stated = read(photograph)
        if signed:
            data = {"exif:DateTimeOriginal": signed}
            stated = replace(stated, statements=({"label": "c2pa.metadata", "created": True, "data": data},))
        dates = {item.field: item.agreement for item in compared.compare(stated, {"Recorded date": own})}
        assert dates["Recorded date"] == agreement, own
    south = compared.compare(read(photograph), {"Latitude": "[39, 21, 51/50] S"})
    assert {item.field: item.agreement for item in south}["Latitude"] == Agreement.DIFFERS


@pytest.mark.usefixtures("metadata_here")
def test_a_report_flags_the_difference_first_and_lists_every_statement(photograph, capsys):
    assert main(["-q", "check", str(photograph), "--detectors", "none", "--lang", "en"]) in (0, 4)
    said = capsys.readouterr().out
    flat = " ".join(said.split())
    assert (
        "Of the camera's model the signer states “Camera 7” and the file's own metadata “Camera 8”: they differ" in flat
    )
    assert flat.index("they differ") < flat.index("state the same")
    assert "org.example.desk creator: not one of these" in flat
    for lang, word in (("en", "they differ"), ("ja", "食い違って")):
        assert main(["-q", "provenance", "read", str(photograph), "--lang", lang]) == 0
        told = capsys.readouterr().out
        assert word in told and "Camera 8" in told and "org.example.desk" in told


@pytest.mark.usefixtures("metadata_here")
def test_what_is_stated_of_another_file_is_not_said_of_this_one(photograph, capsys):
    data = bytearray(photograph.read_bytes())
    data[-40] ^= 1
    photograph.write_bytes(data)
    assert main(["-q", "check", str(photograph), "--detectors", "none", "--lang", "en"]) in (0, 4)
    said = " ".join(capsys.readouterr().out.split())
    assert "What was signed is not what is here" in said and "the signer states" not in said
    assert main(["-q", "provenance", "read", str(photograph), "--lang", "en"]) == 0
    assert "the signer states" not in capsys.readouterr().out


def test_a_fake_agrees_with_its_own_xmp(tmp_path):
    from provenance_kit import synthesis

    path = sign.write(synthesis(), tmp_path / "fake.mp4")
    found = metadata._child(str(path))
    (item,) = compared.compare(read(path), found["metadata"], found["declared"])
    assert (item.field, item.agreement) == ("Digital source type", Agreement.SAME)


@pytest.mark.parametrize("agreement", Agreement)
@pytest.mark.parametrize("field", [*declared.NAMES["compared"], "Digital source type"])
def test_every_field_is_told_in_both_languages(field, agreement):
    own = None if agreement == Agreement.SIGNED_ONLY else "b"
    (sentence,) = compared.sentences([compared.Compared(field, "a", own, agreement)])
    assert all("“a”" in say(sentence, "en") and "「a」" in say(sentence, "ja") for _ in "x")
