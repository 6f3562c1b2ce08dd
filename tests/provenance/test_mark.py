"""The mark is read back, survives what it says it survives, and is not seen where it is not."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gioconda_core.media import clip as media
from provenance.watermark import code, mark, repository
from synth.puppets import perform

PAYLOAD = 0x0123_4567_89AB_CDEF


@pytest.fixture(scope="module")
def clip():
    return perform.perform(3, 5, frames=16, size=256).frames


@pytest.fixture(scope="module")
def marked(clip):
    return mark.embed(clip, PAYLOAD)


@given(st.integers(0, 2**64 - 1))
@settings(max_examples=30, deadline=None)
def test_the_code_carries_every_payload(payload):
    assert code.decode(code.encode(payload).astype(float)) == (payload, 0.0)


def test_the_code_corrects_a_tenth_of_its_bits():
    rng = np.random.default_rng(0)
    for _ in range(20):
        payload = int(rng.integers(0, 2**63))
        soft = code.encode(payload) + rng.normal(0, 0.8, code.CODED_BITS)  # 10 % of hard decisions wrong
        assert code.decode(soft)[0] == payload


def test_noise_is_never_a_payload():
    rng = np.random.default_rng(1)
    assert all(code.decode(rng.normal(size=code.CODED_BITS))[0] is None for _ in range(200))


def test_an_unmarked_clip_has_no_mark_and_a_marked_one_has(clip, marked):
    assert mark.read(clip).payload is None
    found = mark.read(marked)
    assert found.payload == PAYLOAD and found.value == "0123456789abcdef"


@pytest.mark.parametrize(("height", "width"), [(0.8, 0.8), (1.0, 0.8)])
def test_the_mark_is_found_in_the_middle_of_its_picture_when_asked(clip, marked, height, width):
    def middle(frames):
        rows, columns = frames.shape[1:3]
        top, left = round(rows * (1 - height) / 2), round(columns * (1 - width) / 2)
        return frames[:, top : rows - top, left : columns - left]

    found = mark.read(middle(marked[:8]), crops=True)
    assert found.payload == PAYLOAD and np.allclose(found.kept, (height, width), atol=0.02)
    assert mark.read(middle(marked)).payload is None  # not looked for unless asked


def test_an_unmarked_clip_has_no_mark_in_any_crop(clip):
    assert mark.read(clip[:2], crops=True).payload is None


def portraits():
    """Faces as people sign them: a photograph of each kind of skin and light that the test environment has, and puppets."""
    import matplotlib.cbook
    import skimage.data
    from PIL import Image

    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        hopper = np.asarray(Image.open(file).convert("RGB"))
    yield "astronaut", skimage.data.astronaut()[None]
    yield "astronaut, small", skimage.data.astronaut()[:256, 90:346][None]
    yield "hopper", hopper[None]
    for identity in (3, 11):
        yield f"puppet {identity}", perform.perform(identity, 5, frames=4, size=256).frames


def test_the_mark_is_not_seen_on_the_worst_face():
    import cv2
    from skimage.metrics import structural_similarity

    for name, frames in portraits():
        marked = mark.embed(frames, PAYLOAD)
        change = marked.astype(int) - frames
        assert 10 * np.log10(255**2 / np.mean(change.astype(float) ** 2)) >= 42, name
        assert np.quantile(np.abs(change), 0.999) <= 4, name
        # What looks smooth stays so: where neighbours differ by under two levels, nothing stands out by more than two.
        grey = [cv2.cvtColor(f[0], cv2.COLOR_RGB2GRAY) for f in (frames, marked)]
        level = grey[0].astype(np.float32)
        busy = cv2.dilate(np.abs(level - cv2.GaussianBlur(level, (0, 0), 2)), np.ones((25, 25)))
        smooth = busy < 4
        if smooth.any():
            assert np.quantile(np.abs(change[0][smooth]), 0.99) <= 2, name
        # The similarity map, over areas of half a centimetre on a screen: the worst hundredth of the picture too.
        _, similar = structural_similarity(
            *grey, full=True, gaussian_weights=True, sigma=4, win_size=25, data_range=255
        )
        assert np.quantile(similar, 0.01) > 0.8, (name, float(np.quantile(similar, 0.01)))
        assert mark.read(marked).payload == PAYLOAD, name


def test_a_pattern_stands_still_so_that_it_does_not_crawl(clip, marked):
    change = marked.astype(int) - clip
    inside = ((clip > 4) & (clip < 251)).all(0)
    assert (np.ptp(change, axis=0)[inside] == 0).all()


@pytest.mark.parametrize("size", [(192, 192), (128, 128), (400, 400), (320, 240)])
def test_it_survives_resizing_to_any_aspect(marked, size):
    import cv2

    assert mark.read(np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in marked])).payload == PAYLOAD


@pytest.mark.parametrize("crf", [18, 23])
def test_it_survives_h264(marked, crf, tmp_path):
    path = tmp_path / "m.mp4"
    media.write_video(path, marked, fps=Fraction(25), crf=crf)
    with media.Clip.open(path) as opened:
        assert mark.read(opened.sample("all")[0]).payload == PAYLOAD


def test_a_picture_too_small_is_refused_and_read_as_nothing():
    tiny = np.zeros((1, 32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match="64 pixels"):
        mark.embed(tiny, 1)
    assert mark.read(tiny).payload is None


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_neither_alarm_nor_break(value):
    flat = np.full((2, 128, 128, 3), value, np.uint8)
    assert mark.read(flat).payload is None
    assert mark.embed(flat, PAYLOAD).shape == flat.shape


@pytest.mark.parametrize("count", [1, 2, 40])
def test_frames_that_come_one_by_one_get_the_mark_that_an_array_of_them_gets(clip, count):
    frames = np.stack([clip[k % len(clip)] for k in range(count)])
    marked, binding = repository.marker_of(b"what they", b"are made from")(iter(frames))
    assert binding == repository.marker_of(b"what they", b"are made from")(iter(()))[1]
    assert binding.value != repository.marker_of(b"what theya", b"re made from")(iter(()))[1].value
    np.testing.assert_array_equal(np.stack(list(marked)), mark.embed(frames, int(binding.value, 16)))


def test_the_same_frames_always_get_the_same_mark(clip):
    one, first = repository.marker(clip[:2])
    two, second = repository.marker(clip[:2])
    assert first == second and np.array_equal(one, two)
    _, other = repository.marker(clip[2:4])
    assert other.value != first.value
