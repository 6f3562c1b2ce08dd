"""Small media drawn here, and certificate chains, for the provenance tests."""

import datetime
import functools
import io
import struct
import wave
import zipfile
from fractions import Fraction

import numpy as np
from cryptography import x509

from gioconda_core.types import Claim, Synthesis
from provenance.keys import certificates
from provenance.signing import claims, signers
from provenance.trust.lists import Trust, TrustList

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
    from gioconda_core.media.clip import write_video

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
    _, window = _window(options, 3650)
    return odd_authority(name, "Test house", window)


@functools.cache
def leaf(name="Test signer", root=None, **options):
    options, window = _window(options, 365)
    return odd_leaf(root or authority(), name, "Test house", window=window, **options)


def odd_leaf(root, name, house, *, algorithm="es256", window=None, **profile):
    """A leaf that differs from those that are made in one or the other extension.

    profile : ekus, dotted numbers; usage, key usages by name; eku_critical, is_ca, key_identifiers, include_issuer; extra, extensions to add.
    """
    get, key = profile.get, certificates.generate_key(algorithm)
    made = certificates._begun(
        key,
        certificates._name(name, house),
        root.certificate.subject,
        window or certificates.lasting(365),
        is_ca=get("is_ca", False),
    )
    if usage := get("usage", ("digital_signature",)):
        made = made.add_extension(certificates._usage(*usage), critical=True)
    if ekus := get("ekus", (certificates.EMAIL_PROTECTION, certificates.CLAIM_SIGNING)):
        purposes = x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in ekus])
        made = made.add_extension(purposes, critical=get("eku_critical", False))
    if get("key_identifiers", True):
        made = certificates._identified(made, key, root.key)
    for extension in get("extra", ()):
        made = made.add_extension(extension, critical=False)
    chain = (made.sign(root.key, certificates.HASHES["256"]), root.certificate)
    return certificates.Leaf(key, chain if get("include_issuer", True) else chain[:1], algorithm)


def odd_authority(name, house, window, root=None):
    """An authority of any time, or one that another one made. window : (first, last moment)."""
    key, subject = certificates.generate_key(), certificates._name(name, house)
    issuer = root.certificate.subject if root else subject
    made = certificates._begun(key, subject, issuer, window, is_ca=True)
    made = made.add_extension(certificates._usage("key_cert_sign", "crl_sign"), critical=True)
    made = certificates._identified(made, key, root.key if root else None)
    return certificates.Authority(key, made.sign(root.key if root else key, certificates.HASHES["256"]))


def middle_of(root):
    """An authority that another one made."""
    return odd_authority("middle", "x", certificates.lasting(900), root)


def _window(options, days):
    days, names = options.get("days", days), ("days", "not_before", "not_after")
    start = options.get("not_before", certificates.lasting(days)[0])
    end = options.get("not_after", start + datetime.timedelta(days=days))
    return {k: v for k, v in options.items() if k not in names}, (start, end)


def signer_of(made, folder, timestamp=None):
    path = folder / f"{certificates.fingerprint(made.chain[0])[:12]}.pem"
    path.write_text(made.key_pem + made.chain_pem)
    return signers.PemSigner(path, timestamp=timestamp)


def trust_in(*roots, kind="manifest", name="test list", **more):
    text = "".join(certificates.pem(getattr(root, "certificate", root)) for root in roots)
    return Trust((TrustList(name, kind, text, "0" * 64, "2026-01-01", **more),))


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


def make_office(path):
    kinds = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>'
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("[Content_Types].xml", f'<?xml version="1.0"?>{kinds}')
        file.writestr("word/document.xml", "<x/>")


def make_audio(path, codec):
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=44100)
        stream.layout = "mono"
        tone = (np.sin(np.arange(4096) / 9) * 9000).astype("<i2")[None]
        frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        frame.rate = 44100
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=44100)
        for part in [*resampler.resample(frame), None]:
            for packet in stream.encode(part):
                file.mux(packet)


def make_video(path, codec):
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=Fraction(25))
        stream.width = stream.height = 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for part in [*(av.VideoFrame.from_ndarray(picture(48, i), format="rgb24") for i in range(4)), None]:
            for packet in stream.encode(part):
                file.mux(packet)


SVG = '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="5" height="5"/></svg>'


def make_jxl(path):
    """A JPEG XL container with a codestream of noise; the credential does not look inside."""
    stream = box(b"jxlc", b"\xff\x0a" + bytes(range(200)))
    path.write_bytes(box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl " + bytes(4) + b"jxl ") + stream)


MAKERS = {
    **dict.fromkeys(("jpg", "png", "webp", "gif", "tif", "avif", "pdf"), write_picture),
    "dng": lambda path: write_picture(path.with_suffix(".tif")).rename(path),
    **dict.fromkeys(("heic", "heif"), lambda path: write_picture(path.with_suffix(".avif")).rename(path)),
    "jxl": make_jxl,
    "svg": lambda path: path.write_text(SVG),
    "mp4": write_mp4,
    "mov": lambda path: make_video(path, "h264"),
    "m4v": lambda path: write_mp4(path.with_suffix(".mp4")).rename(path),
    "avi": lambda path: make_video(path, "mjpeg"),
    "wav": write_wav,
    "mp3": lambda path: make_audio(path, "libmp3lame"),
    "flac": lambda path: make_audio(path, "flac"),
    "m4a": lambda path: make_audio(path, "aac"),
    **dict.fromkeys(("docx", "xlsx", "pptx", "odt", "epub", "oxps", "zip"), make_office),
}
