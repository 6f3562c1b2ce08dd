"""Minutes: mutated inputs in child processes, hundreds of signatures on many threads, half a gigabyte in little memory."""

import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from provenance_kit import authority, created, leaf, signer_of, trust_in, write_any

from gioconda_core.types import ProvenanceState as State
from provenance.reading import cose
from provenance.reading import open as store
from provenance.reading.read import read
from provenance.signing import sign

pytestmark = pytest.mark.slow
KITS = Path(__file__).parents[1] / "kits"

# Reads mutations of the files named; any exception but ours, or a missing verdict, is printed and fails the test.
CHILD = """
import json, random, resource, sys, tempfile
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from gioconda_core.errors import GiocondaError
from gioconda_core.types import Provenance
from provenance.reading import describe
from provenance.reading.read import read
from provenance.trust.lists import Trust
seed, count, *names = sys.argv[1:]
dice = random.Random(int(seed))
originals = [(Path(name).suffix, Path(name).read_bytes()) for name in names]
# Ranges of each original: [covered by signed hashes], [the credential]; outside of the credential all is covered by them too.
free_of = {}
for suffix, inside, store in json.loads(sys.stdin.read()):
    free = set(range(*store))
    for begin, end in inside:
        free -= set(range(begin, end))
    free_of[suffix] = free
done = 0
folder = Path(tempfile.mkdtemp(dir=Path(names[0]).parent))
seen = {}
for number in range(int(count)):
    suffix, original = dice.choice(originals)
    data = bytearray(original)
    # Most changes go where the credential is: that is what is parsed.
    heart = data.find(b"jumdc2pa") if dice.random() < 0.7 else -1
    for _ in range(dice.choice([1, 1, 2, 5, 20])):
        at = dice.randrange(max(0, heart - 20), min(len(data), heart + 4000)) if heart >= 0 else dice.randrange(len(data))
        match dice.randrange(6):
            case 0: data[at] = dice.randrange(256)
            case 1: data[at] ^= 1 << dice.randrange(8)
            case 2: del data[at : at + dice.choice([1, 4, 100])]
            case 3: data[at:at] = dice.randbytes(dice.choice([1, 4, 100]))
            case 4: data[at : at + 4] = dice.choice([b"\\xff" * 4, bytes(4), b"\\x7f\\xff\\xff\\xff", b"\\0\\0\\0\\1"])
            case 5: data[at:at] = data[at : at + dice.choice([8, 64, 1000])]
        if not data: data = bytearray(b"x")
    if dice.random() < 0.1: data = data[: dice.randrange(1, len(data) + 1)]
    path = folder / f"mutant{suffix}"
    path.write_bytes(data)
    try:
        found = read(path, trust=Trust())
        assert isinstance(found, Provenance)
        list(describe.lines(found, every_code=True))
        if found.state == "valid":
            assert len(data) == len(original), (suffix, number)
            changed = {at for at, (old, new) in enumerate(zip(original, data)) if old != new}
            assert changed <= free_of[suffix], (suffix, number, sorted(changed - free_of[suffix])[:5])
        seen[str(found.state)] = seen.get(str(found.state), 0) + 1
    except GiocondaError:
        pass
    done += 1
path.unlink()
print(done, seen)
"""


def ranges(path):
    """(suffix, ranges that signed hashes cover inside the credential, the credential's own range with its container's wrapping)."""
    with store.opened(path) as found:
        data, label = found.store, found.document["active_manifest"]
    whole = path.read_bytes()
    base = whole.index(data)
    ((_, top),) = list(cose._boxes(data))
    (manifest,) = [box for kind, box in cose._boxes(top) if kind == b"jumb" and cose._label(box) == label]
    blobs = []
    for kind, box in cose._boxes(manifest):
        name = cose._label(box) if kind == b"jumb" else ""
        if name == "c2pa.assertions":
            blobs += [payload for inner, payload in cose._boxes(box) if inner == b"jumb"]
        elif name == "c2pa.claim.v2":
            blobs += [payload for inner, payload in cose._boxes(box) if inner == b"cbor"]
    inside = [[base + data.index(blob), base + data.index(blob) + len(blob)] for blob in blobs]
    if path.suffix == ".mp4":  # nobody's hashes cover its ftyp, nor the free boxes up to the first that holds something
        return path.suffix, inside, [0, min(whole.index(name, base + len(data)) for name in (b"moov", b"mdat")) - 4]
    # A RIFF's chunk is the last of the file, and its room was made before the credential was: the rest of it is empty.
    return path.suffix, inside, [max(0, base - 40), len(whole) if path.suffix == ".wav" else base + len(data) + 8]


def test_mutated_files_neither_crash_nor_hang_nor_pass(tmp_path):
    signer = signer_of(leaf(), tmp_path)
    names = []
    for suffix in (".jpg", ".png", ".mp4", ".wav"):
        names.append(
            str(sign.sign_file(write_any(tmp_path / f"p{suffix}"), tmp_path / f"s{suffix}", created(), signer=signer))
        )
    (tmp_path / "side.wav").write_bytes((tmp_path / "p.wav").read_bytes())
    with store.opened(tmp_path / "s.wav") as found:
        (tmp_path / "bare.c2pa").write_bytes(found.store)
    known = json.dumps([*map(ranges, map(Path, names)), (".c2pa", [], [0, 0])])
    names.append(str(tmp_path / "bare.c2pa"))
    total, each = 0, 1280
    for seed in range(4):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, str(seed), str(each), *names],
            capture_output=True,
            text=True,
            timeout=200,
            input=known,
        )
        assert done.returncode == 0, (seed, done.returncode, done.stderr[-2000:])
        total += int(done.stdout.split()[0])
    assert total >= 5000


def test_hundreds_of_signatures_on_sixteen_threads(tmp_path):
    signer = signer_of(leaf(), tmp_path)
    plain = write_any(tmp_path / "plain.jpg")
    lists = trust_in(authority())

    def one(number):
        path = sign.sign_file(plain, tmp_path / "out" / f"{number}.jpg", created(str(number)), signer=signer)
        found = read(path, trust=lists)
        path.unlink()
        return found.state, found.label

    with ThreadPoolExecutor(16) as pool:
        states = [state for state, _ in pool.map(one, range(800))]
    assert states == [State.TRUSTED] * 800
    assert list((tmp_path / "out").iterdir()) == []


LARGE = """
import sys
from gioconda_core.testing import peak_memory
from provenance.reading import read
from provenance.signing import claims, sign, signers
from provenance.trust.lists import Trust
source, target, key, small = sys.argv[1:]
made = claims.Credential("large", actions=(claims.Action("c2pa.created", "trainedAlgorithmicMedia"),))
signer = signers.PemSigner(key)
sign.sign_file(small, small + ".signed.mp4", made, signer=signer)
read.read(small + ".signed.mp4", trust=Trust())
before = peak_memory()
sign.sign_file(source, target, made, signer=signer)
assert read.read(target, trust=Trust()).state == "valid"
print((peak_memory() - before) / 2**20)
"""


def test_half_a_gigabyte_in_less_than_64_megabytes(tmp_path):
    from benchmarks.speed.provenance import make_video

    signer_of(leaf(), tmp_path)
    (key,) = tmp_path.glob("*.pem")
    make_video(tmp_path / "large.mp4", 500)
    small = write_any(tmp_path / "small.mp4")
    arguments = [str(tmp_path / "large.mp4"), str(tmp_path / "signed.mp4"), str(key), str(small)]
    done = subprocess.run(
        [sys.executable, "-c", LARGE, *arguments], capture_output=True, text=True, timeout=240, env=os.environ
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 64, done.stdout
    # Any changed byte of it must still be seen: the leaves of the tree cover all of the media.
    size = (tmp_path / "signed.mp4").stat().st_size
    dice = random.Random(3)
    for _ in range(4):
        at = dice.randrange(size // 50, size - size // 50)
        with open(tmp_path / "signed.mp4", "r+b") as file:
            file.seek(at)
            byte = file.read(1)
            file.seek(at)
            file.write(bytes([byte[0] ^ 1]))
        assert read(tmp_path / "signed.mp4").state == State.INVALID
        with open(tmp_path / "signed.mp4", "r+b") as file:
            file.seek(at)
            file.write(byte)
    assert read(tmp_path / "signed.mp4").state == State.VALID


def test_a_large_file_with_several_media_boxes_is_still_signed(tmp_path):
    """The SDK signs such a file in leaves and then refuses it; here it is hashed whole instead, in more memory."""
    import struct

    path = write_any(tmp_path / "two.mp4")
    with open(path, "ab") as file:
        body = random.Random(0).randbytes(70 << 20)
        file.write(struct.pack(">I4s", len(body) + 8, b"mdat") + body)
    signed = sign.sign_file(path, tmp_path / "signed.mp4", created(), signer=signer_of(leaf(), tmp_path))
    assert read(signed, trust=trust_in(authority())).state == State.TRUSTED
