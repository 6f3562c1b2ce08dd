"""Pieces of JPEG, PNG, RIFF and GIF, put together again, are the file: whatever stands before, between and behind them."""

import pytest
from provenance_kit import write_any

from gioconda_core.media import containers

WALKS = {"jpg": containers.jpeg, "png": containers.png, "wav": containers.riff, "gif": containers.gif}


@pytest.mark.parametrize("tail", [b"", b"x", b"behind the last piece"])
@pytest.mark.parametrize("suffix", WALKS)
def test_the_pieces_and_what_is_around_them_are_the_file(tmp_path, suffix, tail):
    data = write_any(tmp_path / f"a.{suffix}").read_bytes() + tail
    head, pieces, rest = containers.split(data, WALKS[suffix])
    assert pieces and head + b"".join(pieces) + rest == data


@pytest.mark.parametrize(
    "data", [b"\xff\xd8\xff\xda\x00\x08scan\xff\xd9", b"\xff\xd8", containers.PNG, b"RIFF\0\0\0\0WAVE", b"GIF89a"]
)
def test_a_file_without_a_piece_keeps_all_its_bytes(data):
    for walk in WALKS.values():
        head, pieces, rest = containers.split(data, walk)
        assert head + b"".join(pieces) + rest == data
