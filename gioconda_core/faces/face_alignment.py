"""face-alignment's networks, built by ourselves from files of the weights store: S3FD or BlazeFace finds, FAN places 68 points.

The package's own constructor downloads what it lacks and compiles for a minute; nothing of that happens here. Only its
network definitions are used; decoding is ours, vectorised, and keeps fractions of a pixel where the original truncates.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gioconda_core.device import device as where
from gioconda_core.errors import UsageError, WeightsError
from gioconda_core.faces import align
from gioconda_core.weights import store

Frame = NDArray[np.uint8]
Boxes = NDArray[np.float32]

# What face-alignment makes of a detector's box (w, h): a crop of side 200·(w + h)/195, centred 0.12·h above the box's centre.
# A detector's box is some 2.22 face squares in w + h with that centre 0.22 squares above the square's: so the same crop
# follows from a face square, and a followed face is read exactly as a detected one.
_PERIMETER, _RAISE = 2.22, 0.22
_CROP = 200 / 195 * _PERIMETER  # side of FAN's crop, in face squares

_INPUT, _HEATMAP = 256, 64  # px
_CHUNK = {"cpu": 4, "cuda": 64}  # faces in one pass of FAN


def _load(network: Any, name: str) -> None:
    """Fill a network from the weights store."""
    from safetensors.torch import load_file

    path = store().path(name)
    state = {key.removeprefix("module."): value for key, value in load_file(path).items()}
    own = network.state_dict()
    # Old checkpoints lack the counters of batch normalisation, which inference does not read.
    wrong = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    wrong += [key for key in state if key not in own or state[key].shape != own[key].shape]
    if wrong:
        what = f"are not the weights of this network: {len(wrong)} tensors differ, {wrong[0]} first"
        raise WeightsError(what, str(path), f"gioconda models pull {name} --force")
    network.load_state_dict(state, strict=False)


def _nms(boxes: Boxes) -> Boxes:
    """The surest of boxes (M, 5) that overlap by more than three tenths of their union, the surest first."""
    import cv2

    corners_and_sizes = np.concatenate([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corners_and_sizes.tolist(), boxes[:, 4].tolist(), score_threshold=0.0, nms_threshold=0.3)
    surest: Boxes = boxes[np.asarray(kept, int).reshape(-1)]
    return surest


def _squares(boxes: Boxes) -> Boxes:
    """A detector's boxes (M, 5) as face squares (M, 5)."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    side = (width + height) / _PERIMETER
    x = (boxes[:, 0] + boxes[:, 2]) / 2
    y = (boxes[:, 1] + boxes[:, 3]) / 2 - 0.12 * height + _RAISE * side
    return np.stack([x - side / 2, y - side / 2, x + side / 2, y + side / 2, boxes[:, 4]], axis=1).astype(np.float32)


class FaceAlignmentLandmarker:
    """FAN-4's 68 points (Bulat & Tzimiropoulos 2017, §3) in boxes found by S3FD or BlazeFace.

    Parameters
    ----------
    device : ``auto`` (CUDA when there is one), ``cpu``, ``cuda``, ``cuda:1``…
    detector : ``sfd``, ``blazeface``, or ``auto``: S3FD where its weights are in the store, else BlazeFace.

    Raises
    ------
    WeightsError
        Weights are missing or are another network's; nothing is ever downloaded here.
    """

    name = "face-alignment"

    def __init__(self, device: str = "auto", *, detector: Literal["auto", "sfd", "blazeface"] = "auto") -> None:
        store().path("fan2d-4")  # before torch is imported: ``auto`` asks on every run whether these are here
        self.device = where(device)
        kind = self.device.partition(":")[0]
        self.batch = 8 if kind == "cuda" else 1
        self._chunk = _CHUNK.get(kind, 4)

        from face_alignment.models import FAN

        self._fan = FAN(4)
        _load(self._fan, "fan2d-4")
        self.detector, self._finder = self._find_detector(detector)
        for network in (self._fan, self._finder):
            network.to(self.device).eval().requires_grad_(False)
        self.version = f"1.5.0-{self.detector}"

    @staticmethod
    def _find_detector(wanted: str) -> tuple[str, Any]:
        if wanted in ("auto", "sfd"):
            from face_alignment.detection.sfd.net_s3fd import s3fd

            network = s3fd()
            try:
                _load(network, "sfd")
                return "sfd", network
            except WeightsError:
                if wanted == "sfd":
                    raise
        elif wanted != "blazeface":
            raise UsageError(f"no detector {wanted!r}", hint="auto, sfd or blazeface")
        from face_alignment.detection.blazeface.net_blazeface import BlazeFace

        network = BlazeFace()
        _load(network, "blazeface")
        return "blazeface", network

    def detect(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Face squares (M, 5) of each frame, frames of one shape in one pass."""
        out: list[Boxes] = [np.zeros((0, 5), np.float32)] * len(frames)
        shapes: dict[tuple[int, ...], list[int]] = {}
        for i, frame in enumerate(frames):
            shapes.setdefault(frame.shape, []).append(i)
        find = self._sfd if self.detector == "sfd" else self._blaze
        for rows in shapes.values():
            for start in range(0, len(rows), max(self.batch, 1)):
                part = rows[start : start + max(self.batch, 1)]
                for i, boxes in zip(part, find([frames[i] for i in part]), strict=True):
                    out[i] = _squares(_nms(boxes))
        return out

    def _sfd(self, frames: list[Frame]) -> list[Boxes]:
        """S3FD on frames of one shape, the longer side at most 640 px (it finds faces of some 15 px there)."""
        import cv2
        import torch

        height, width = frames[0].shape[:2]
        scale = min(1.0, 640 / max(height, width))
        size = (max(round(width * scale), 32), max(round(height * scale), 32))
        small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])
        # (B, 3, h, w) BGR.
        batch = torch.from_numpy(small[..., ::-1].copy()).to(self.device).permute(0, 3, 1, 2).float()
        batch -= torch.tensor([104.0, 117.0, 123.0], device=self.device).view(1, 3, 1, 1)
        with torch.inference_mode():
            maps = self._finder(batch)
        found: list[list[NDArray[np.float32]]] = [[] for _ in frames]
        for level in range(len(maps) // 2):
            stride = 2 ** (level + 2)
            score = torch.softmax(maps[2 * level].float(), dim=1)[:, 1].cpu().numpy()  # (B, h, w)
            shift = maps[2 * level + 1].float().cpu().numpy()  # (B, 4, h, w)
            for i, y, x in zip(*np.nonzero(score > 0.5), strict=True):
                cx, cy, w, h = shift[i, :, y, x]
                prior = 4.0 * stride  # variances 0.1 and 0.2, Zhang 2017 (S3FD) as in SSD
                centre = np.array([stride * (x + 0.5) + 0.1 * cx * prior, stride * (y + 0.5) + 0.1 * cy * prior])
                half = prior * np.exp(np.clip([0.2 * w, 0.2 * h], -5, 5)) / 2
                found[i].append(np.array([*(centre - half), *(centre + half), score[i, y, x]], np.float32))
        out = []
        for rows in found:
            boxes = np.array(rows, np.float32).reshape(-1, 5)
            boxes[:, [0, 2]] *= width / size[0]
            boxes[:, [1, 3]] *= height / size[1]
            boxes[:, :4] -= 0.5
            out.append(boxes)
        return out

    def _blaze(self, frames: list[Frame]) -> list[Boxes]:
        """BlazeFace on squares that cover each frame (it sees 128 × 128), overlapping by half."""
        import cv2
        import torch

        height, width = frames[0].shape[:2]
        side = min(height, width)
        steps = 1 if height == width else int(np.ceil(2 * max(height, width) / side)) - 1
        starts = np.unique(np.linspace(0, max(height, width) - side, steps).round().astype(int))
        offsets = [(int(s), 0) if width > height else (0, int(s)) for s in starts]
        tiles = [
            cv2.resize(frame[y : y + side, x : x + side], (128, 128), interpolation=cv2.INTER_AREA)
            for frame in frames
            for x, y in offsets
        ]
        batch = torch.from_numpy(np.stack(tiles)).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        with torch.inference_mode():
            raw, logits = self._finder(batch)  # (N, 896, 16), (N, 896, 1)
        raw, score = raw.float().cpu().numpy(), torch.sigmoid(logits[..., 0].float().clamp(-100, 100)).cpu().numpy()
        centres = np.concatenate([_grid(16, 2), _grid(8, 6)])  # (896, 2), in tiles
        out = []
        for i in range(len(frames)):
            rows = []
            for j, (left, top) in enumerate(offsets):
                tile = i * len(offsets) + j
                hit = score[tile] > 0.75  # MediaPipe's threshold for the front camera's model
                centre, extent = raw[tile, hit, :2] / 128 + centres[hit], np.abs(raw[tile, hit, 2:4]) / 128
                boxes = np.concatenate([centre - extent / 2, centre + extent / 2], axis=1) * side
                boxes = boxes + np.array([left, top, left, top]) - 0.5
                rows.append(np.concatenate([boxes, score[tile, hit, None]], axis=1))
            out.append(np.concatenate(rows).astype(np.float32))
        return out

    def verify(self, frame: Frame, box: NDArray[np.float32]) -> Boxes:
        """Whether a face is still in this face square, by how sure FAN is of its points: (1, 5) or (0, 5)."""
        points, sure = self._read(frame, np.asarray(box, np.float32)[None, :4])
        if sure[0] < 0.3:
            return np.zeros((0, 5), np.float32)
        return np.array([[*align.box(points[0]), sure[0]]], np.float32)

    def landmarks(self, frame: Frame, boxes: Boxes) -> NDArray[np.float32]:
        """Landmarks (M, 68, 2) of the faces in face squares (M, 4 or 5), all in one batch."""
        return self._read(frame, np.asarray(boxes, np.float32)[:, :4])[0]

    def _read(self, frame: Frame, squares: Boxes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Points (M, 68, 2) and the mean height of their heatmaps' peaks (M,), clipped to [0, 1]."""
        import torch

        if not len(squares):
            return np.zeros((0, 68, 2), np.float32), np.zeros(0, np.float32)
        matrices = []
        for x0, y0, x1, y1 in squares:
            side = max(float(x1 - x0), 1.0)
            scale = _INPUT / (_CROP * side)
            centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2 - _RAISE * side])
            matrices.append(np.hstack([np.eye(2) * scale, (_INPUT / 2 - 0.5 - scale * centre)[:, None]]))
        crops = np.stack([align.crop(frame, matrix, _INPUT, border="black") for matrix in matrices])
        heat = []
        with torch.inference_mode():
            for start in range(0, len(crops), self._chunk):
                batch = torch.from_numpy(crops[start : start + self._chunk]).to(self.device)
                maps = self._fan(batch.permute(0, 3, 1, 2).float() / 255)[-1]  # (B, 68, 64, 64)
                heat.append(maps.float().cpu().numpy())
        points, peaks = _decode(np.concatenate(heat))
        out = np.stack([align.apply(align.invert(m), p) for m, p in zip(matrices, points, strict=True)])
        return out, np.clip(peaks.mean(1), 0, 1).astype(np.float32)


def _grid(cells: int, each: int) -> NDArray[np.float32]:
    """Centres (cells² · each, 2) of BlazeFace's anchors, all of unit size: 16 × 16 × 2, then 8 × 8 × 6."""
    y, x = np.mgrid[:cells, :cells]
    centres = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells
    return np.repeat(centres, each, axis=0).astype(np.float32)


def _decode(heat: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Peaks of heatmaps (B, 68, 64, 64): places (B, 68, 2) in pixels of FAN's input, and heights (B, 68).

    As in face-alignment: the highest cell, moved a quarter of a cell towards its higher neighbour.
    """
    count, points, rows, columns = heat.shape
    flat = heat.reshape(count, points, -1)
    index = flat.argmax(-1)
    height = np.take_along_axis(flat, index[..., None], -1)[..., 0]
    y, x = np.divmod(index, columns)
    b, p = np.ogrid[:count, :points]
    inner = (x > 0) & (x < columns - 1) & (y > 0) & (y < rows - 1)
    xs, ys = np.clip(x, 1, columns - 2), np.clip(y, 1, rows - 2)
    dx = np.sign(heat[b, p, ys, xs + 1] - heat[b, p, ys, xs - 1]) * inner * 0.25
    dy = np.sign(heat[b, p, ys + 1, xs] - heat[b, p, ys - 1, xs]) * inner * 0.25
    place = np.stack([x + dx, y + dy], axis=-1)
    return ((place + 0.5) * (_INPUT / _HEATMAP) - 0.5).astype(np.float32), height.astype(np.float32)
