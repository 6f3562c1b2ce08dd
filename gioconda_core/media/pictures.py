"""Pictures for people to look at: a grid of pictures, the part around a face, a small JPEG."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
TITLE = 22  # pixels a line of titles takes


def grid(
    rows: Sequence[Sequence[Picture]],
    cell: tuple[int, int],
    *,
    gap: int = 0,
    paper: int = 255,
    titles: Sequence[str] = (),
) -> Picture:
    """Pictures in rows, each fitted whole into a cell and centred there; uint8 (H, W, 3), RGB.

    Parameters
    ----------
    rows : uint8 (h, w, 3) each, RGB; rows may differ in length.
    cell : width and height of a cell in pixels. gap : pixels between cells. paper : grey level of what no picture covers.
    titles : one a column, above it, made smaller where one would not fit.
    """
    from PIL import Image, ImageDraw

    width, height = cell
    columns = max(len(row) for row in rows)
    top = TITLE if titles else 0
    size = (columns * (width + gap) - gap, top + len(rows) * (height + gap) - gap)
    sheet = Image.new("RGB", size, (paper,) * 3)
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            shown = Image.fromarray(picture)
            if shown.size != cell:
                scale = min(width / shown.width, height / shown.height)
                fitted = (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
                shown = shown.resize(fitted, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
            left = x * (width + gap) + (width - shown.width) // 2
            sheet.paste(shown, (left, top + y * (height + gap) + (height - shown.height) // 2))
    pen = ImageDraw.Draw(sheet)
    for x, title in enumerate(titles):
        fitting, font = _fitted(pen, title, width - 6)
        pen.text((x * (width + gap) + 3, 3), fitting, fill=(20, 20, 20), font=font)
    return np.asarray(sheet, np.uint8)


def _fitted(pen: Any, title: str, width: int) -> tuple[str, Any]:
    """A title no wider than this many pixels, in smaller letters and at last cut; and its font."""
    from PIL import ImageFont

    points = 13
    while points > 8 and pen.textlength(title, ImageFont.load_default(points)) > width:
        points -= 1
    font, kept = ImageFont.load_default(points), title
    while kept and pen.textlength(title, font) > width:
        kept = kept[:-1]
        title = kept + "…"
    return title, font


def around(frame: Picture, box: Sequence[float], room: float = 1.44) -> Picture:
    """The square around a box, ``room`` times its longer side, black where it leaves the frame; uint8 (S, S, 3).

    frame : uint8 (H, W, 3), RGB. box : x0, y0, x1, y1 in pixels of the frame.
    """
    from PIL import Image

    x0, y0, x1, y1 = (float(v) for v in box)
    half = room / 2 * max(x1 - x0, y1 - y0, 2.0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return np.asarray(Image.fromarray(frame).crop((round(x - half), round(y - half), round(x + half), round(y + half))))


def jpeg(picture: Picture, most: int = 0, quality: int = 82) -> bytes:
    """A JPEG of at most ``most`` pixels a side (0 leaves the size), for pages and documents; nothing is enlarged."""
    from PIL import Image

    shown = Image.fromarray(picture)
    if most:
        shown.thumbnail((most, most), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    shown.save(out, "JPEG", quality=quality)
    return out.getvalue()
