"""Pictures for people: a grid keeps each picture whole and in its place, the part around a face is square, a JPEG is small enough."""

import io

import numpy as np
import pytest
from PIL import Image

from gioconda_core.media.pictures import around, grid, jpeg


def plain(width, height, colour):
    return np.full((height, width, 3), colour, np.uint8)


def test_a_grid_keeps_each_picture_whole_and_centred_in_its_cell():
    rows = [[plain(80, 40, (200, 0, 0)), plain(20, 40, (0, 200, 0))], [plain(40, 40, (0, 0, 200))]]
    sheet = grid(rows, (40, 40), gap=2)
    assert sheet.shape == (82, 82, 3) and sheet.dtype == np.uint8
    red, green, blue = ((sheet == colour).all(-1) for colour in ((200, 0, 0), (0, 200, 0), (0, 0, 200)))
    assert red[10:30, 0:40].all() and red.sum() == 40 * 20  # wide: half as high, in the middle
    assert green[0:40, 52:72].all() and green.sum() == 20 * 40  # narrow: not stretched
    assert blue[42:82, 0:40].all() and blue.sum() == 40 * 40
    assert (sheet[40:42] == 255).all() and (sheet[42:, 42:] == 255).all()  # between cells, and where no picture is


def test_titles_stand_above_their_columns_and_inside_them():
    bare = grid([[plain(60, 60, 0)] * 2], (60, 60))
    titled = grid([[plain(60, 60, 0)] * 2], (60, 60), titles=["a name far too long for its column", ""])
    assert (titled[-60:] == bare).all() and titled.shape[0] > 60
    ink = (titled[:-60] < 128).all(-1)
    assert ink[:, :60].any() and not ink[:, 60:].any()


@pytest.mark.parametrize("box", [(40, 30, 60, 50), (-10, -10, 20, 20), (90, 70, 130, 90)])
def test_the_part_around_a_face_is_square_wherever_the_face_is(box):
    frame = plain(120, 80, (9, 9, 9))
    part = around(frame, box, room=2.0)
    side = 2 * max(box[2] - box[0], box[3] - box[1])
    assert part.shape[0] == part.shape[1] and abs(part.shape[0] - side) <= 1
    middle = part.shape[0] // 2
    assert (part[middle, middle] == 9).all() == (0 <= (box[0] + box[2]) / 2 < 120 and 0 <= (box[1] + box[3]) / 2 < 80)


def test_a_jpeg_is_made_smaller_and_never_larger():
    noise = np.random.default_rng(0).integers(0, 256, (90, 200, 3), np.uint8)
    assert Image.open(io.BytesIO(jpeg(noise, 50))).size == (50, 23)
    assert Image.open(io.BytesIO(jpeg(noise, 900))).size == (200, 90)
    assert len(jpeg(noise, 50)) < len(jpeg(noise))
