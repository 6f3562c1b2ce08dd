"""The guide to Content Credentials shows what the command prints: each state and each reason, forged here and read again."""

import datetime
import re
from pathlib import Path

import pytest
from provenance_forge import resign
from provenance_kit import authority, certificates, created, flip, leaf, signer_of, write_any, write_picture, write_wav
from provenance_tsa import Authority

from gioconda.cli import main
from gioconda_core.types import CredentialReason, Ingredient, ProvenanceState
from provenance.signing import claims, sign
from provenance.trust import lists

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "provenance.md"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with a file for each state."""
    folder = tmp_path_factory.mktemp("desk")
    known = signer_of(leaf("The desk"), folder)
    other = signer_of(leaf("Somebody", root=authority("elsewhere")), folder)

    def signed(name, signer=known, source=None, said=None):
        plain = source or write_any(folder / f"plain-{name}")
        return sign.sign_file(plain, folder / name, said or created(name), signer=signer)

    write_picture(folder / "bare.jpg")
    (folder / "film.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(80))
    signed("known.jpg")
    signed("unknown.jpg", other)
    (folder / "cut.png").write_bytes(signed("whole.png").read_bytes()[:60])
    changed = folder / "changed.jpg"
    changed.write_bytes((folder / "known.jpg").read_bytes())
    flip(changed, changed.stat().st_size - 40)
    with Authority(at=NOW - 10 * DAY) as clock:
        first = signed(
            "first.wav", signer_of(leaf("The desk"), folder, timestamp=clock.url), write_wav(folder / "p.wav")
        )
        short = leaf("The desk then", not_before=NOW - 30 * DAY, not_after=NOW - DAY)
        resign(first, folder / "old.wav", short, clock)
    sign.sign_sidecar(folder / "bare.jpg", folder / "alone.c2pa", created("alone"), signer=known)
    (folder / "elsewhere").mkdir()
    (folder / "alone.c2pa").rename(folder / "elsewhere" / "alone.c2pa")
    parent = Ingredient("parent", "", "changed.jpg", str(changed))
    edit = claims.Credential("edit", intent="edit", actions=(claims.Action("c2pa.edited"),), ingredients=(parent,))
    signed("edit.jpg", source=write_picture(folder / "p.jpg"), said=edit)
    (folder / "root.pem").write_text(certificates.pem(authority().certificate))
    return folder


def blocks():
    text = GUIDE.read_text(encoding="utf-8").split("### Each state, once", 1)[1]
    for command, shown in re.findall(
        r"^\$ gioconda ([^\n]*?) \| head -n (?:\d+)\n((?:(?!\$|```).*\n)*)", text.split("###")[0], re.M
    ):
        yield command, shown.splitlines()


@pytest.mark.parametrize(
    ("command", "shown"), list(blocks()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_guide_shows_what_is_printed(command, shown, desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    lists.add(desk / "root.pem", lists.Card("desk", date="2026-11-29"))
    main(["-q", *command.split()])
    said = [
        re.sub(r"sha256 [0-9a-f]{12,64}…?", "sha256 …", line.rstrip()) for line in capsys.readouterr().out.splitlines()
    ]
    assert said[: len(shown)] == shown


def test_each_state_is_shown_once_and_each_reason_as_it_is_said():
    text = GUIDE.read_text(encoding="utf-8")
    shown = [lines[1].strip().split(":")[0] for _, lines in blocks()]
    assert set(shown) == {str(state) for state in ProvenanceState}
    from provenance.reading import describe

    for reason in set(CredentialReason) - {CredentialReason.UNJUDGED}:
        assert f"| `{reason}` |" in text and describe.reason(reason) in text, reason
