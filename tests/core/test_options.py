"""What a person types is read in one place, whatever it is typed for."""

from __future__ import annotations

import pytest

from gioconda_core import options
from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.media import degrade
from gioconda_core.stats import metrics
from gioconda_core.weights import Store
from provenance.trust import lists

DIGITS = "0123456789abcdef" * 4


def test_a_fingerprint_is_read_as_it_is_copied():
    spaced = ":".join(DIGITS[i : i + 2].upper() for i in range(0, 64, 2))
    assert options.sha256(DIGITS) == options.sha256(spaced) == options.sha256(f" {DIGITS} ") == DIGITS
    for wrong in ("", DIGITS[:-1], DIGITS + "0", DIGITS[:-1] + "g"):
        with pytest.raises(UsageError, match="not a sha256 fingerprint"):
            options.sha256(wrong)


def test_the_pin_of_a_network_is_the_whole_hash(tmp_path):
    """A few leading digits would be met by many files: whoever typed them would have believed in one."""
    original = tmp_path / "vgg19.bin"
    original.write_bytes(b"not these weights")
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        Store(tmp_path / "store").add("vgg19-caffe", original, sha256="ab")
    with pytest.raises(WeightsError, match="expected"):
        Store(tmp_path / "store").add("vgg19-caffe", original, sha256=DIGITS)


@pytest.mark.parametrize(
    "read", [lambda text: degrade.parse(f"h264:{text}"), lambda text: metrics.parse(f"tpr@{text}")]
)
@pytest.mark.parametrize("text", ["crf=nan", "fpr=inf", "quality=3", "crf=", "fpr=-1", "crf=-1", "="])
def test_a_setting_that_is_unknown_or_no_number_is_refused(read, text):
    with pytest.raises(UsageError):
        read(text)


def test_a_file_whose_name_holds_an_equals_sign_is_a_file():
    assert lists.kind_of("tsa=a.pem") == ("tsa", "a.pem")
    assert lists.kind_of("newsroom=2026.pem") == ("", "newsroom=2026.pem")
