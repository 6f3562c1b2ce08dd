"""When a label counts, when it does not and why; stripping proven on pixels; a stripped credential found again."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from provenance_kit import created, write_any, write_picture, write_wav

from gioconda_core.errors import CredentialError, GiocondaError, UsageError
from gioconda_core.files import sha256_of
from gioconda_core.media import clip as media
from gioconda_core.types import Claim, Code, Ingredient, IngredientNode, Label, ProvenanceState, Synthesis
from provenance.reading.read import read
from provenance.signing import claims, sign
from provenance.tools import labels
from provenance.tools.strip import strip
from provenance.trust import lists
from provenance.watermark import mark, repository
from synth.puppets import perform


@pytest.fixture
def signed(tmp_path):
    played = perform.perform(1, 2, frames=6, size=96)
    original = tmp_path / "sources" / "driver.bin"
    original.parent.mkdir()
    original.write_bytes(b"a driver")
    claim = Claim(
        "a clip", "self-reenactment", "fake", "few-shot", "0.1.0",
        ingredients=(Ingredient("driver", sha256_of(original)),), identity="puppet-1", split="train", licence="CC0",
    )  # fmt: skip
    folder = tmp_path / "out"
    synthesis = Synthesis(played.frames, played.times, Fraction(25), claim)
    return sign.write(synthesis, folder / "a.mp4", marker=repository.marker)


def collect(path, **kw):
    return labels.collect(path.parent, trust=lists.load(development=True), **kw)


def test_a_signed_label_becomes_a_row(signed, tmp_path):
    index, refused = collect(signed, sources=tmp_path / "sources")
    (row,) = index
    assert not refused and row.label is Label.FAKE and row.identity == "puppet-1" and row.split == "train"
    assert row.sha256 == sha256_of(signed) and row.essence


def test_without_trust_no_label_counts(signed):
    index, refused = labels.collect(signed.parent, trust=lists.load())
    assert len(index) == 0 and "not trusted" in refused[0].why


def test_a_signer_who_is_not_on_the_list_does_not_count(signed):
    _, refused = collect(signed, signers={"0" * 64})
    assert "not on the project's list" in refused[0].why
    own = read(signed, trust=lists.load(development=True)).signer_fingerprint
    index, _ = collect(signed, signers={own})
    assert len(index) == 1


def test_a_source_that_is_not_there_does_not_count(signed, tmp_path):
    (tmp_path / "sources" / "driver.bin").write_bytes(b"another")
    _, refused = collect(signed, sources=tmp_path / "sources")
    assert "no file in the sources" in refused[0].why


def test_copies_are_one_sample_even_where_bytes_differ(signed):
    # A free box after the end is covered by no hash: another file, the same frames, still trusted.
    (signed.parent / "b.mp4").write_bytes(signed.read_bytes() + b"\x00\x00\x00\x10free" + b"x" * 8)
    index, refused = collect(signed)
    assert len(index) == 1 and "same frames as a.mp4" in refused[0].why


def test_unsigned_and_broken_files_are_rows_with_reasons(signed):
    (signed.parent / "text.mp4").write_text("not a clip")
    media.write_video(signed.parent / "plain.mp4", np.zeros((2, 64, 64, 3), np.uint8), fps=25)
    index, refused = collect(signed)
    assert len(index) == 1 and {row.path for row in refused} == {"text.mp4", "plain.mp4"}


def test_every_other_reason(signed):
    good = read(signed, trust=lists.load(development=True))
    assert labels.why_not(good, ()) is None

    def why(**changes):
        return labels.why_not(dataclasses.replace(good, **changes), ())

    assert "exactly one label" in why(label=None)
    assert "schema" in why(label={**good.label, "schema": "other/1"})
    assert "neither" in why(label={**good.label, "label": "perhaps"})
    assert "invalid" in why(state=ProvenanceState.INVALID)
    bad = IngredientNode(
        "t", "inputTo", children=(IngredientNode("u", "parentOf", failures=(Code("x.y", "failure", ""),)),)
    )
    assert "x.y" in why(ingredients=(bad,))
    assert "more ingredients" in why(codes=(Code("gioconda.ingredient.unread", "policy", ""),))


def test_strip_leaves_the_pixels_and_takes_the_credential(signed, tmp_path):
    copy = strip(signed, tmp_path / "stripped.mp4")
    assert read(copy).state is ProvenanceState.ABSENT
    with media.Clip.open(signed) as a, media.Clip.open(copy) as b:
        assert np.array_equal(a.sample("all")[0], b.sample("all")[0])
    with pytest.raises(UsageError, match="already exists"):
        strip(signed, copy)


@pytest.mark.parametrize(
    "suffix",
    [
        "jpg",
        "png",
        "gif",
        "tif",
        "webp",
        "avif",
        "jxl",
        "svg",
        "wav",
        "mp3",
        "flac",
        "m4a",
        "mov",
        "avi",
        "pdf",
        "docx",
        "epub",
    ],
)
def test_strip_takes_the_credential_out_of(tmp_path, suffix):
    from provenance_kit import MAKERS

    plain, out = tmp_path / f"p.{suffix}", tmp_path / f"s.{suffix}"
    MAKERS[suffix](plain)
    sign.sign_file(plain, out, claims.Credential("p", actions=(claims.Action("c2pa.created", "digitalCreation"),)))
    assert read(out).state is not ProvenanceState.ABSENT
    copy = strip(out, tmp_path / f"c.{suffix}")
    assert read(copy).state is ProvenanceState.ABSENT


@pytest.mark.parametrize("suffix", ["png", "wav"])
def test_a_copy_that_is_not_the_same_is_not_written(tmp_path, monkeypatch, suffix):
    from provenance.tools import strip as stripper

    signed = sign.sign_file(
        write_any(tmp_path / f"p.{suffix}"),
        tmp_path / f"s.{suffix}",
        claims.Credential("p", actions=(claims.Action("c2pa.created", "digitalCreation"),)),
    )
    other = tmp_path / f"other.{suffix}"
    if suffix == "png":
        write_picture(other, seed=9)
    else:
        write_wav(other, seconds=0.1)
    monkeypatch.setattr(stripper, "_without_block", lambda data, origin: other.read_bytes())
    with pytest.raises(CredentialError, match="same frames"):
        strip(signed, tmp_path / f"c.{suffix}")
    assert not (tmp_path / f"c.{suffix}").exists()


def test_a_document_keeps_every_other_entry_and_a_pdf_every_other_byte(tmp_path):
    import zipfile

    from provenance_kit import MAKERS

    for suffix in ("docx", "pdf"):
        MAKERS[suffix](tmp_path / f"a.{suffix}")
        signed = sign.sign_file(tmp_path / f"a.{suffix}", tmp_path / f"s.{suffix}", created("x"))
        stripped = strip(signed, tmp_path / f"b.{suffix}")
        if suffix == "docx":
            with zipfile.ZipFile(tmp_path / "a.docx") as before, zipfile.ZipFile(stripped) as after:
                assert after.namelist() == before.namelist() and after.testzip() is None
                assert all(after.read(name) == before.read(name) for name in before.namelist())
        else:
            before, after = signed.read_bytes(), stripped.read_bytes()
            changed = [i for i, (x, y) in enumerate(zip(before, after, strict=True)) if x != y]
            store = before.index(b"jumb") - 4
            name = before.index(b"C2PA_Manifest")
            size = int.from_bytes(before[store : store + 4], "big")
            assert all(store <= i < store + size or name <= i < name + 13 for i in changed)
            assert not any(after[store : store + size]) and b"C2PA_Manifest" not in after


def test_strip_says_what_it_cannot_do(tmp_path):
    write_picture(tmp_path / "p.png")
    bare = (tmp_path / "p.png").read_bytes()
    for name, content in (
        ("a.xyz", bare[8:]),
        ("b.docx", b"PK\3\4 broken"),
        ("c.pdf", b"%PDF-1.7 no credential in it"),
    ):
        (tmp_path / name).write_bytes(content)
        try:
            strip(tmp_path / name, tmp_path / f"of-{name}")
        except GiocondaError as error:
            assert "re-encod" not in str(error) and str(error)
            assert not (tmp_path / f"of-{name}").exists()
        else:
            assert name == "c.pdf"  # nothing was in it, and a copy is what one gets


def test_strip_leaves_the_other_frames_of_a_tag_and_the_other_blocks_of_a_picture(tmp_path):
    from provenance_kit import MAKERS

    for suffix, kept in (("mp3", b"TSSE"), ("gif", b"\x21\xf9"), ("svg", b"<rect")):
        plain, out = tmp_path / f"p.{suffix}", tmp_path / f"s.{suffix}"
        MAKERS[suffix](plain)
        sign.sign_file(plain, out, created("x"))
        stripped = strip(out, tmp_path / f"c.{suffix}").read_bytes()
        assert (kept in stripped) == (kept in out.read_bytes())
        assert b"c2pa" not in stripped.replace(b'xmlns:c2pa="http://c2pa.org/manifest"', b"")


def test_a_stripped_and_recompressed_copy_finds_its_credential_again(tmp_path):
    played = perform.perform(4, 4, frames=8, size=256)
    claim = Claim("the title", "self-reenactment", "fake", "few-shot", "0.1.0")
    path = sign.write(
        Synthesis(played.frames, played.times, Fraction(25), claim), tmp_path / "s.mp4", marker=repository.marker
    )
    with media.Clip.open(path) as clip:
        media.write_video(tmp_path / "copy.mp4", clip.sample("all")[0], fps=25, crf=23)
    assert read(tmp_path / "copy.mp4").state is ProvenanceState.ABSENT
    by_mark, by_looks = repository.bindings_of(tmp_path / "copy.mp4")
    assert by_mark.algorithm == mark.ALGORITHM
    (match,) = repository.matches(by_mark)
    assert match.similarity is None and repository.matches(by_looks)[0].manifest_id == match.manifest_id
    found = repository.recover(match.manifest_id)
    assert found.title == "the title" and found.file_sha256 == sha256_of(path)
    # Against the copy the old credential cannot hold, and must not seem to.
    assert read(tmp_path / "copy.mp4", manifest=found.manifest).state is ProvenanceState.INVALID
    assert read(path, trust=lists.load(development=True)).soft_bindings[0]["alg"] == mark.ALGORITHM


def test_a_file_without_a_mark_is_not_remembered(tmp_path):
    media.write_video(tmp_path / "p.mp4", np.zeros((2, 64, 64, 3), np.uint8), fps=25)
    assert repository.remember(tmp_path / "p.mp4") is None
    assert repository.recover("urn:c2pa:nobody") is None


def test_a_broken_repository_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("GIOCONDA_HOME", str(tmp_path))
    (tmp_path / "manifests.sqlite").write_text("not a database" * 100)
    with pytest.raises(CredentialError, match="archive of credentials"):
        repository.recover("urn:c2pa:nobody")
