"""Small media drawn here, and certificate chains, for the provenance tests."""

import functools
import io
import struct
import wave
from fractions import Fraction

import numpy as np

from gioconda.core.types import Claim, Synthesis
from provenance import certificates, claims, signers
from provenance.trust import Trust, TrustList

AI = "trainedAlgorithmicMedia"


def picture(size=48, seed=0):
    """uint8 (size, size, 3): a gradient with a patch, different for each seed."""
    y, x = np.mgrid[0:size, 0:size]
    frame = np.stack([x * 255 // size, y * 255 // size, (x + y) % 256], -1).astype(np.uint8)
    frame[8:20, 8 + seed % 16 : 20 + seed % 16] = (250, 30, 60 + seed)
    return frame


def write_picture(path, size=48, seed=0):
    from PIL import Image

    Image.fromarray(picture(size, seed)).save(path)
    return path


def write_wav(path, seconds=0.2):
    tone = (np.sin(np.arange(int(8000 * seconds)) / 7) * 9000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(tone.tobytes())
    return path


def write_mp4(path, frames=8, size=48):
    from gioconda.core.media import write_video

    write_video(path, (picture(size, i) for i in range(frames)), fps=Fraction(25))
    return path


def write_any(path):
    """A small file of the kind its suffix names."""
    suffix = path.suffix.lower()
    if suffix in (".jpg", ".png", ".webp", ".gif", ".tif"):
        return write_picture(path)
    if suffix == ".wav":
        return write_wav(path)
    if suffix == ".mp4":
        return write_mp4(path)
    raise AssertionError(suffix)


def synthesis(frames=6, size=48, **claim):
    pixels = np.stack([picture(size, i) for i in range(frames)])
    made = {
        "title": "clip",
        "task": "self-reenactment",
        "label": "fake",
        "generator": "puppets",
        "generator_version": "1",
    }
    return Synthesis(pixels, np.arange(frames) / 25.0, Fraction(25), Claim(**{**made, **claim}))


def created(title="a test", **more):
    return claims.Credential(title, actions=(claims.Action("c2pa.created", AI),), **more)


@functools.cache
def authority(name="Test root", **options):
    return certificates.make_authority(name, "Test house", **options)


@functools.cache
def leaf(name="Test signer", root=None, **options):
    return certificates.make_leaf(root or authority(), name, "Test house", **options)


def signer_of(made, folder, timestamp=None):
    path = folder / f"{certificates.fingerprint(made.chain[0])[:12]}.pem"
    path.write_text(made.key_pem + made.chain_pem)
    return signers.PemSigner(path, timestamp=timestamp)


def trust_in(*roots, kind="manifest", name="test list"):
    text = "".join(certificates.pem(getattr(root, "certificate", root)) for root in roots)
    return Trust((TrustList(name, kind, text, "0" * 64, "2026-01-01"),))


def both(*trusts):
    return Trust(tuple(item for trust in trusts for item in trust.lists))


def flip(path, at, bit=1):
    data = bytearray(path.read_bytes())
    data[at] ^= bit
    path.write_bytes(bytes(data))


def box(kind, payload):
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def jpeg_bytes(size=48, seed=0):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture(size, seed)).save(buffer, "JPEG")
    return buffer.getvalue()
