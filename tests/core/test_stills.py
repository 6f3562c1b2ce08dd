"""Stills and animations: upright, in true colours, not clipped, with the durations the file gives."""

import io
import re

import numpy as np
import pytest
from PIL import Image, ImageCms

from gioconda_core.errors import MediaError, UsageError
from gioconda_core.media.clip import Clip, Limits, write_image
from gioconda_core.reasons import WarningReason


def _marked():
    """Blue with a red top left corner, 48x32."""
    picture = np.full((32, 48, 3), (20, 40, 200), np.uint8)
    picture[:12, :16] = (220, 30, 30)
    return picture


def _read(path, **kwargs):
    with Clip.open(path, **kwargs) as clip:
        frames, times = clip.sample()
        return clip, frames, times


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "bmp", "tif", "ppm", "jp2"])
def test_every_still_is_one_frame_whatever_is_asked(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(_marked()).save(path, **({"quality": 95} if suffix in ("jpg", "webp", "avif") else {}))
    for sampling in ("all", "even:32", "every:1", "keyframes", "at:0"):
        with Clip.open(path) as clip:
            frames, times = clip.sample(sampling)
            assert frames.shape == (1, 32, 48, 3) and times.tolist() == [0.0]
            assert clip.facts.still and clip.fps is None and clip.duration == 0.0 and clip.warnings == []
    assert np.abs(frames[0].astype(int) - _marked()).mean() < 8


# What each tag says was done to the upright picture (EXIF 2.3, 4.6.4 A).
_STORED = dict(enumerate((None, "FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_90", "TRANSVERSE", "ROTATE_270"), 1))  # fmt: skip


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_exif_orientation_is_applied_once(tmp_path, tag, suffix):
    """Pillow turns a TIFF as it loads it: it was turned twice, and a scan of a portrait lay on its side or stood on its head."""
    exif = Image.Exif()
    exif[0x0112] = tag
    upright = Image.fromarray(_marked())
    turned = upright.transpose(Image.Transpose[_STORED[tag]]) if _STORED[tag] else upright
    lossy = suffix in ("jpg", "webp", "avif")
    turned.save(tmp_path / f"a.{suffix}", exif=exif, **({"quality": 95} if lossy else {}))
    clip, frames, _ = _read(tmp_path / f"a.{suffix}")
    assert frames.shape == (1, 32, 48, 3) == (1, clip.facts.height, clip.facts.width, 3)
    assert np.abs(frames[0].astype(int) - _marked()).mean() <= (8 if lossy else 0)


def test_a_colour_profile_is_applied(tmp_path):
    """The wrong way: a wide-gamut photograph read as sRGB, its skin turned grey."""
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))
    path = tmp_path / "a.png"
    Image.fromarray(_marked()).save(path, icc_profile=linear.tobytes())
    clip, frames, _ = _read(path)
    assert clip.warnings == [] or "profile" in clip.warnings[0].text
    Image.fromarray(_marked()).save(path, icc_profile=b"not a profile")
    clip, frames, _ = _read(path)
    assert np.array_equal(frames[0], _marked()) and "colour profile is damaged" in clip.warnings[0].text


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    path = tmp_path / "deep.png"
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
    Image.fromarray(ramp).save(path)
    _, frames, _ = _read(path)
    assert np.abs(frames[0, 0, :, 0].astype(int) - np.linspace(0, 255, 64)).max() <= 1


def test_transparency_is_shown_over_white(tmp_path):
    path = tmp_path / "a.png"
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[:2] = (255, 0, 0, 255)
    Image.fromarray(picture).save(path)
    clip, frames, _ = _read(path)
    assert frames[0, 0, 0].tolist() == [255, 0, 0] and frames[0, 3, 3].tolist() == [255, 255, 255]
    assert [warning.code for warning in clip.warnings] == ["transparent"]
    Image.new("RGBA", (4, 4), (255, 0, 0, 255)).save(path)  # a fourth channel, and nothing to be seen through
    assert _read(path)[0].warnings == []


@pytest.mark.parametrize("name", ["a.mpo", "a.tif"])
def test_of_several_pictures_in_a_file_it_is_said_that_one_is_read(tmp_path, name):
    """A telephone keeps a second view or a gain map behind its JPEG, a scanner page after page."""
    first = Image.fromarray(_marked())
    first.save(tmp_path / name, save_all=True, append_images=[first.rotate(180)])
    clip, frames, _ = _read(tmp_path / name)
    assert len(frames) == 1 and clip.warnings[0].text == "2 pictures; the primary one is read"


def test_a_picture_of_a_kind_that_only_the_video_decoder_reads_is_a_still_picture(tmp_path):
    """Of a Photoshop file it was said that the video holds a single frame."""
    head = b"8BPS\0\1" + bytes(6) + b"\0\3" + bytes((0, 0, 0, 4, 0, 0, 0, 6, 0, 8, 0, 3)) + bytes(14)
    (tmp_path / "a.psd").write_bytes(head + bytes(range(72)))
    clip, frames, _ = _read(tmp_path / "a.psd")
    assert clip.facts.still and clip.duration == 0 and clip.facts.fps is None
    assert frames.shape == (1, 4, 6, 3) and frames[0, 0, 1].tolist() == [1, 25, 49]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK"])
def test_every_colour_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.fromarray(_marked()).convert("RGB").convert(mode).save(path)
    _, frames, _ = _read(path)
    assert frames.shape == (1, 32, 48, 3)


DURATIONS = [100, 40, 250, 500]  # milliseconds


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif"])
def test_animations_keep_their_durations(tmp_path, suffix):
    """The wrong way: a constant rate, or 100 ms for every frame."""
    path = tmp_path / f"a.{suffix}"
    pictures = [Image.fromarray(np.full((32, 32, 3), 60 * i, np.uint8)) for i in range(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=DURATIONS, loop=0)
    with Clip.open(path) as clip:
        frames, times = clip.sample("all")
        assert np.allclose(times, [0.0, 0.1, 0.14, 0.39]) and clip.duration == pytest.approx(0.89)
        assert clip.fps == pytest.approx(4 / 0.89, abs=0.02) and not clip.facts.still
        assert [round(float(f.mean()) / 60) for f in frames] == [0, 1, 2, 3]
        assert [round(float(f.mean()) / 60) for f in clip.sample("at:0.12,0.2,0.5")[0]] == [1, 2, 3]
        assert [round(float(f.mean()) / 60) for f in clip.sample("every:0.4")[0]] == [0, 3]
        assert len(clip.sample("even:32")[0]) == 4, "each frame at most once"
        with pytest.raises(UsageError, match="no frame at 5 s"):
            clip.sample("at:5")


def test_a_picture_before_an_animated_png_is_none_of_its_frames(tmp_path):
    """It was read as the first frame, of a tenth of a second, though no program that animates shows it."""
    red, green, blue = (Image.new("RGB", (8, 8), name) for name in ("red", "lime", "blue"))
    red.save(tmp_path / "a.png", save_all=True, append_images=[green, blue], duration=40, default_image=True)
    clip, frames, times = _read(tmp_path / "a.png")
    assert (
        clip.duration == 0.08 and times.tolist() == [0, 0.04] and frames[:, 0, 0].tolist() == [[0, 255, 0], [0, 0, 255]]
    )
    assert [warning.code for warning in clip.warnings] == ["hidden-picture"]


def test_gif_frames_are_composed(tmp_path):
    """A GIF stores only what changed; the frame is the whole picture."""
    path = tmp_path / "a.gif"
    base = np.full((32, 32, 3), 200, np.uint8)
    second = base.copy()
    second[:8, :8] = 10
    Image.fromarray(base).save(path, save_all=True, append_images=[Image.fromarray(second)], duration=100)
    _, frames, _ = _read(path)
    assert frames[1][20, 20, 0] > 180 and frames[1][2, 2, 0] < 30


def test_a_gif_that_says_zero_is_shown_as_browsers_do(tmp_path):
    path = tmp_path / "a.gif"
    pictures = [Image.fromarray(np.full((8, 8, 3), 60 * i, np.uint8)) for i in range(3)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=0)
    with Clip.open(path) as clip:
        assert clip.duration == pytest.approx(0.3)


def test_one_by_one(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (1, 1), (9, 8, 7)).save(path)
    _, frames, _ = _read(path)
    assert frames.tolist() == [[[[9, 8, 7]]]]


@pytest.mark.parametrize("sandbox", [False, True])
def test_a_sixteen_thousand_pixel_picture_is_refused_before_it_is_decoded(tmp_path, sandbox):
    """268 megapixels in a 33 kB file: 800 MB when decoded."""
    path = tmp_path / "bomb.png"
    with io.BytesIO() as buffer:
        Image.new("1", (16384, 16384)).save(buffer, "PNG", compress_level=9)
        path.write_bytes(buffer.getvalue())
    with pytest.raises(MediaError, match="megapixels"):
        Clip.open(path, sandbox=sandbox)


def test_the_pixel_limit_can_be_raised(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (300, 200)).save(path)
    with pytest.raises(MediaError, match=r"300x200 is more than 0\.05 megapixels"):
        Clip.open(path, limits=Limits(pixels=50_000, stored_pixels=50_000))
    Clip.open(path, limits=Limits(pixels=60_000)).close()


@pytest.mark.parametrize("sandbox", [False, True])
@pytest.mark.parametrize("kind", ["jpg", "png", "palette", "grey16"])
def test_a_picture_larger_than_one_may_be_is_read_smaller(tmp_path, kind, sandbox):
    """Telephones take 108 and 200 megapixels: the report said that no picture could be opened."""
    y, x = np.mgrid[:200, :304]
    grey = (40 + x / 2 + y / 4).astype(np.uint8)
    image = Image.fromarray(np.dstack([grey, grey // 2, 255 - grey]))
    if kind == "palette":
        image = image.quantize(256)
    if kind == "grey16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / ("a.jpg" if kind == "jpg" else "a.png")
    image.save(path, **({"quality": 95, "exif": exif} if kind == "jpg" else {}))
    with (
        Clip.open(path, sandbox=sandbox) as whole,
        Clip.open(path, sandbox=sandbox, limits=Limits(pixels=20_000)) as clip,
    ):
        assert clip.facts.reduced == 2 and whole.facts.reduced == 1
        assert (clip.facts.width, clip.facts.height) == (whole.facts.width, whole.facts.height), "the file's"
        full, small = (one.sample("all")[0][0].astype(float) for one in (whole, clip))
    assert small.shape[0] * 2 == full.shape[0] and small.shape[1] * 2 == full.shape[1]
    mean = full.reshape(small.shape[0], 2, small.shape[1], 2, 3).mean((1, 3))
    assert np.abs(mean - small)[4:-4, 4:-4].mean() < 2


def test_an_animation_is_not_read_smaller_but_refused(tmp_path):
    frames = [Image.new("RGB", (300, 200), (k, 0, 0)) for k in (0, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(MediaError, match=r"300x200 is more than 0\.05 megapixels") as refused:
        Clip.open(tmp_path / "a.gif", limits=Limits(pixels=50_000))
    assert "Limits(pixels=" in refused.value.hint


def test_the_pixel_limit_can_be_raised_beyond_pillows_own(tmp_path, monkeypatch):
    """The wrong way: Pillow's own limit, reported as if it were ours."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    path = tmp_path / "a.png"
    write_image(path, np.zeros((200, 300, 3), np.uint8))
    with pytest.raises(MediaError, match=r"megapixels is more than 0\.02 megapixels"):
        Clip.open(path, limits=Limits(pixels=20_000, stored_pixels=20_000))
    with Clip.open(path, limits=Limits(pixels=60_000, stored_pixels=60_000)) as clip:
        assert clip.sample("all")[0].shape == (1, 200, 300, 3)
    assert Image.MAX_IMAGE_PIXELS == 10_000


def test_a_truncated_picture_is_an_error_and_a_truncated_animation_gives_what_it_has(tmp_path):
    whole, cut = tmp_path / "a.jpg", tmp_path / "cut.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(whole)
    cut.write_bytes(whole.read_bytes()[:900])
    with pytest.raises(MediaError, match="damaged or cut off"):
        Clip.open(cut)
    pictures = [Image.fromarray(np.random.default_rng(i).integers(0, 255, (64, 64, 3), np.uint8)) for i in range(6)]
    animation = tmp_path / "a.gif"
    pictures[0].save(animation, save_all=True, append_images=pictures[1:], duration=100)
    cut = tmp_path / "cut.gif"
    cut.write_bytes(animation.read_bytes()[: int(animation.stat().st_size * 0.6)])
    with Clip.open(cut) as clip:
        frames, times = clip.sample("all")
        assert 2 <= len(frames) <= 5 and times[-1] < 0.5
        assert any(w.of_pictures and "stopped at" in w.text for w in clip.warnings)
    pictures[0].save(tmp_path / "a.png", save_all=True, append_images=pictures[1:], duration=100)
    cut.write_bytes((tmp_path / "a.png").read_bytes()[:20_000])  # within the second picture
    with Clip.open(cut) as clip:
        assert len(clip.sample("all")[0]) == 1
        assert [w.code for w in clip.warnings] == [WarningReason.STOPPED_THERE], "its frames are no pictures apart"
        assert not clip.facts.still and clip.facts.frame_count is None, "nor a still picture"


@pytest.mark.parametrize(("lost", "hidden"), [(0, False), (2, False), (0, True)])
def test_of_an_animation_with_a_damaged_frame_the_others_are_given_when_they_are_due(lost, hidden, tmp_path):
    """The whole of it was called undecodable."""
    pictures = [Image.fromarray(np.random.default_rng(i).integers(0, 255, (64, 64, 3), np.uint8)) for i in range(6)]
    later = {"append_images": pictures[1:], "default_image": hidden}
    pictures[0].save(tmp_path / "a.png", save_all=True, duration=100, **later)
    data = bytearray((tmp_path / "a.png").read_bytes())
    chunks = [found.start() for found in re.finditer(rb"IDAT|fdAT", data)]
    data[chunks[lost] + 30 : chunks[lost] + 4000] = bytes(i * 37 % 256 for i in range(3970))
    (tmp_path / "a.png").write_bytes(data)
    left = [i for i in range(6) if i != lost]
    with Clip.open(tmp_path / "a.png") as clip:
        frames, times = clip.sample("all")
        assert np.array_equal(frames, np.stack([np.asarray(pictures[i]) for i in left]))
        assert times.tolist() == [(i - (not lost)) / 10 for i in left]
        told = (WarningReason.HIDDEN_PICTURE, None) if hidden else (WarningReason.DAMAGED_DATA, lost / 10)
        assert [(w.code, w.detail.get("time")) for w in clip.warnings] == [told]
        later, _ = clip.sample("at:0.35")
        assert np.array_equal(later[0], pictures[3 if lost else 4])


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "avif", "tif", "bmp"])
def test_write_image_reads_back(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    write_image(path, _marked())
    _, frames, _ = _read(path)
    assert np.abs(frames[0].astype(int) - _marked()).mean() < 4
    with pytest.raises(UsageError, match="--force"):
        write_image(path, _marked())
    write_image(path, _marked(), force=True)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_write_image_refuses_what_it_cannot_write(tmp_path):
    with pytest.raises(UsageError, match="pictures are not written"):
        write_image(tmp_path / "a.mp4", _marked())
    with pytest.raises(UsageError, match="give uint8"):
        write_image(tmp_path / "a.png", _marked().astype(np.float32))
    assert list(tmp_path.iterdir()) == []


def test_a_heic_is_its_primary_picture_whole_and_upright(tmp_path):
    """The wrong ways: one tile of a grid, a preview, and no picture at all where EXIF goes with it."""
    import pillow_heif

    picture = Image.new("RGB", (192, 96), (20, 60, 200))
    picture.paste((220, 30, 30), (0, 0, 48, 96))  # red on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: red on top
    heif = pillow_heif.from_pillow(Image.new("RGB", (64, 64), (0, 200, 0)))
    heif.add_from_pillow(picture)
    heif.save(tmp_path / "two.heic", primary_index=1, quality=90)
    with Clip.open(tmp_path / "two.heic", sandbox=True) as clip:
        assert (clip.facts.width, clip.facts.height, clip.facts.still) == (192, 96, True)
        assert [w.text for w in clip.warnings] == ["2 pictures; the primary one is read"]
    pillow_heif.from_pillow(picture).save(tmp_path / "turned.heic", exif=exif.tobytes(), quality=90)
    for name in ("turned.heic",):
        with Clip.open(tmp_path / name) as clip:
            frames, _ = clip.sample("all")
            assert frames.shape == (1, 192, 96, 3)
            assert frames[0, 10, 48].argmax() == 0 and frames[0, 150, 48].argmax() == 2


def test_big_tiff(tmp_path):
    Image.new("RGB", (64, 48), (200, 10, 10)).save(tmp_path / "big.tif", big_tiff=True)
    assert (tmp_path / "big.tif").read_bytes()[:4] == b"II+\0"
    with Clip.open(tmp_path / "big.tif") as clip:
        assert clip.facts.container == "tiff" and clip.sample("all")[0][0, 0, 0].tolist() == [200, 10, 10]
