"""Where a network's map points: at the half of a face that was swapped, on people it has not seen, more than chance would.

Chance is asked four ways, since a map that merely prefers faces would beat the first: the mask's area, the same map of the real clip, the
share of the half that was left alone, and which of the two halves has more. The figures in docs/experiments-detectors are this test's.
"""

import dataclasses
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from pointing import points_inside

from benchmarks.run.puppet_set import face_swap
from detect.face_crops import prepare
from detect.networks import network
from detect.networks.network import NetDetector
from detect.reading import explain
from detect.training import network_crops
from gioconda_core.faces import align
from gioconda_core.faces import self_blend as blend
from gioconda_core.types import FaceTrack, Footage
from synth.puppets import perform

SIZE = 64  # of the crop


@dataclasses.dataclass(frozen=True)
class Half:
    """A face of which one half is another puppet's: footage real and fake, masks (2, S, S) of the half and of the other, in the crop."""

    real: Footage
    fake: Footage
    masks: np.ndarray


def clip_of(pictures, take):
    """The pictures through H.264, with the landmarks they were drawn from."""
    marks = take.landmarks
    boxes = np.concatenate([marks.min(1), marks.max(1)], 1)
    track = FaceTrack(0, take.times, boxes, marks, np.ones(len(marks), np.float32))
    return Footage(network_crops.encode(pictures, 18), take.times, Fraction(25), len(marks) / 25, (track,))


def halves(points, size):
    """Upper, lower, left and right half of the face, bool (4, size, size), parted at the nose."""
    hull = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points.astype(np.int32)), 1)
    down = points[8] - points[27]
    down = down / np.linalg.norm(down)
    away = np.stack(np.mgrid[:size, :size][::-1], -1) - points[27:36].mean(0)
    v, h = away @ down > 0, away @ np.array([-down[1], down[0]]) > 0
    return (hull > 0) & np.stack([~v, v, ~h, h])


def people(first, count, size=128):
    """Four fakes of each puppet, one a half; the donor is the puppet before."""
    donor = perform.perform(first - 1, 7, frames=1, size=size)
    for person in range(first, first + count):
        take = perform.perform(person, 17 * person, frames=2, size=size)
        real, swapped = clip_of(take.frames, take), face_swap(take, donor)
        parts = np.stack([halves(points, size) for points in take.landmarks])
        changed = np.abs(swapped.astype(int) - take.frames).max(-1) > 4
        crops = [align.transform(points, SIZE) for points in take.landmarks]
        for half in range(4):
            soft = np.stack([cv2.GaussianBlur(m.astype(np.float32), (0, 0), size / 80) for m in parts[:, half]])[
                ..., None
            ]
            fake = np.round(swapped * soft + take.frames * (1 - soft)).astype(np.uint8)
            masks = [
                np.mean(
                    [
                        cv2.warpAffine((p & c).astype(np.float32), m, (SIZE, SIZE))
                        for p, c, m in zip(part, changed, crops, strict=True)
                    ],
                    0,
                )
                for part in (parts[:, half], parts[:, half ^ 1])
            ]
            yield Half(real, clip_of(fake, take), np.stack(masks) > 0.5)
        donor = take


def trained(material, path, steps=240, pairs=8, rate=3e-3):
    """A small network from random weights: pairs of a real crop and its fake, a third of them blended onto themselves."""
    torch.manual_seed(0)
    net = network.Net(network.Shape("cnn", "test_efficientnet", SIZE))
    optimiser = torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-4)
    crops = [(prepare(m.real, SIZE)[0], prepare(m.fake, SIZE)[0].crops) for m in material]
    rng = np.random.default_rng(0)
    wanted = torch.tensor([0.0, 1.0] * pairs)
    for step in range(steps):
        batch = []
        for i in rng.choice(len(crops), pairs):
            (real, fake), k, way = crops[i], rng.integers(2), rng.choice([-1, 1])
            blended = rng.random() < 0.3
            other = blend.draw(rng)(real.crops[k], real.landmarks[k])[0] if blended else fake[k]
            batch += [real.crops[k][None, :, ::way], other[None, :, ::way]]
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 20) * 0.5 * (1 + np.cos(np.pi * step / steps))
        scores = net(torch.from_numpy(np.stack(batch)).permute(0, 1, 4, 2, 3))["clip"]
        optimiser.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(scores, wanted).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
    network.save(net, path)
    return NetDetector(path, device="cpu")


def measured(detector, held):
    """Chance → (persons,) how far the map exceeds it, mean over a person's four fakes."""
    rows, real = [], None
    for number, of in enumerate(held):
        fake = explain.gradient(detector, of.fake)
        real = explain.gradient(detector, of.real) if number % 4 == 0 else real
        own, other = (points_inside(fake, mask) for mask in of.masks)
        dense = [row["inside"] / row["chance"] if row["chance"] else 0.0 for row in (own, other)]
        rows.append(
            {
                "area": own["inside"] - own["chance"],
                "real": own["inside"] - points_inside(real, of.masks[0])["inside"],
                "share": dense[0] / max(sum(dense), 1e-9) - 0.5,
                "right": float(dense[0] > dense[1]) - 0.5,
            }
        )
    return {key: np.array([row[key] for row in rows]).reshape(-1, 4).mean(1) for key in rows[0]}


def interval(values, seed=0):
    draws = np.random.default_rng(seed).integers(len(values), size=(4000, len(values)))
    return values.mean(), *np.percentile(values[draws].mean(1), [2.5, 97.5])


@pytest.mark.slow
def test_a_map_points_at_the_half_that_was_swapped(tmp_path):
    detector = trained(list(people(9000, 60)), tmp_path / "model.safetensors")
    for chance, gain in measured(detector, people(9200, 16)).items():
        value, low, high = interval(gain)
        print(f"{chance}: {value:+.3f} [{low:+.3f}, {high:+.3f}], {len(gain)} persons")
        assert low > 0 or (chance == "right" and value > 0), chance  # that one is coarse: yes or no for 64 fakes
