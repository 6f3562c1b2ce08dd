"""Drawing: the puppet's triangles in painter's order, one gather a pixel, light on interpolated normals, a simple camera."""

# ruff: noqa: RUF005 -- a tuple added to an array is a shift, not a concatenation

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.puppets import head
from synth.puppets.paint import ATLAS
from synth.puppets.person import Person, unit
from synth.puppets.room import paint_backdrop, paint_torso
from synth.puppets.take import Take, rotation

Array = NDArray[np.float64]
DISTANCE = 8.0  # camera to the head's origin, head units: about 70 cm
_UPPER = [61, 62, 63, 37, 38, 43, 44]  # landmarks that lie above…
_LOWER = [67, 66, 65, 41, 40, 47, 46]  # …these, or on them
PIVOT = np.array([0.0, 1.0, -0.85])  # the head turns about the top of the neck


def _sample(image: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bilinear look-up at n points: (n, 3). OpenCV's remap takes no side over 32767, so the points are folded into rows of 256."""
    rows = -(-len(x) // 256)
    flat = np.zeros((2, rows * 256), np.float32)
    flat[0, : len(x)], flat[1, : len(x)] = x, y
    at = flat.reshape(2, rows, 256)
    found = cv2.remap(image, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(-1, 3)[: len(x)])


def _shoulder(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Highlights roll off instead of clipping, as on film and in cameras: straight to 0.55, then towards 1."""
    over = np.maximum(light - 0.55, 0)
    return np.asarray(np.minimum(light, 0.55) + 0.45 * over / (over + 0.45))


class Stage:
    """Everything of a take that does not change from frame to frame, and the drawing of one frame."""

    def __init__(self, person: Person, take: Take, motion: int, size: int) -> None:
        self.person, self.take, self.size = person, take, size
        rng = np.random.default_rng([motion, 4711])
        self.scale = take.zoom * size  # pixels a head unit at the origin's distance
        self.centre = np.array(take.centre) * size
        self.backdrop = paint_backdrop(rng, size)
        self.torso = paint_torso(
            rng, size, self.scale * DISTANCE / (DISTANCE + 0.7), (float(self.centre[0]), float(self.centre[1]))
        )
        light = np.clip(take.light[2] + take.light[1] * 0.62, 0, 2).astype(np.float32)
        self.torso[..., :3] *= light
        self.noise = rng.normal(0, take.noise, (size + 64, size + 64, 3)).astype(np.float32)
        self.noise = cv2.GaussianBlur(self.noise, (0, 0), 0.55) * 1.6
        y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
        self.lens = ((1 - take.vignette * (x * x + y * y) * 2) * take.exposure)[..., None] ** 2
        self.offsets = np.random.default_rng([motion, 4712])
        self.ids = np.zeros((size, size), np.int32)
        # Bare skin below the eyes and in front of the ears: where the outline of cheek and jaw can lie.
        uv = head.mesh().uv
        self.cheeks = (person.look.hair < 0.01) & (uv[:, 1] > -0.45) & (np.linalg.norm(uv, axis=1) < 1.5)
        start = len(uv)
        self.ranges: dict[str, tuple[int, int]] = {}
        for part in person.parts:
            self.ranges.setdefault(part.name, (start, start + len(part.vertices)))
            start += len(part.vertices)
        atlas = person.look.atlas
        assert atlas.shape == (*ATLAS, 3), atlas.shape

    def project(self, points: Array) -> Array:
        """Head units in camera space → pixels."""
        near = DISTANCE / (DISTANCE - points[:, 2:3])
        return np.asarray(points[:, :2] * near * self.scale + self.centre)

    def pose(self, k: int) -> tuple[Array, Array, Array, NDArray[np.float32]]:
        """Vertices and normals in camera space, the 68 landmarks in camera space, and the texels (the eyes' move with the gaze)."""
        person, take = self.person, self.take
        mesh = head.mesh()
        v, marks = person.vertices.copy(), person.anchors[:68].copy()
        for name, w in take.weights.items():
            if abs(w[k]) > 1e-3:
                v += person.shapes[name] * w[k]
                marks += person.moves[name] * w[k]
        # Lips and lids press together, they do not pass through one another.
        up, low = marks[_UPPER, 1], marks[_LOWER, 1]
        middle = (up + low) / 2
        marks[_UPPER, 1], marks[_LOWER, 1] = np.minimum(up, middle), np.maximum(low, middle)
        edges = v[mesh.triangles]
        faces = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
        normals = unit(mesh.to_vertices @ faces)
        turn = rotation(take.yaw[k], take.pitch[k], take.roll[k])
        slide = take.shift[k]

        def place(points: Array) -> Array:
            return np.asarray((points - PIVOT) @ turn.T + PIVOT + slide)

        where, facing = [place(v)], [normals @ turn.T]
        texels = person.texels
        jaw = take.weights["jaw"][k]
        start = len(v)
        moved = False
        for part in person.parts:
            local = part.vertices
            if part.jaw and jaw > 1e-3:
                local = head.turned(local - head.HINGE, head.GAPE * jaw * part.jaw) + head.HINGE
            if part.name.startswith("eye"):
                if not moved:
                    texels, moved = texels.copy(), True
                texels[start : start + len(local)] -= (take.gaze[k] / 0.5 * 128).astype(np.float32)
            still = local + np.array([*take.body[k], 0.0])
            w = part.turn[:, None]
            where.append(place(local) * w + still * (1 - w))
            facing.append(part.normals @ turn.T)
            start += len(local)
        return np.concatenate(where), np.concatenate(facing), place(marks), texels

    def draw(self, k: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """One frame and its landmarks in pixels."""
        person, take, size = self.person, self.take, self.size
        vertices, normals, marks, texels = self.pose(k)
        screen = self.project(vertices)
        tri = person.triangles
        corners = screen[tri]  # (F, 3, 2)
        e1, e2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        area = e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0]
        shown = np.flatnonzero((area > 0.02) | (person.twosided & (np.abs(area) > 0.02)))
        depth = vertices[tri[shown], 2].mean(1) + person.bias[shown]
        shown = shown[np.argsort(depth, kind="stable")]
        fixed = np.round(corners[shown] * 16).astype(np.int32)
        ids = self.ids
        ids[:] = 0
        fill = cv2.fillConvexPoly
        for n, polygon in enumerate(fixed, 1):
            fill(ids, polygon, n, 8, 4)
        ys, xs = np.nonzero(ids)
        which = ids[ys, xs] - 1
        # Barycentric coordinates of each pixel in its triangle, from two affine forms a triangle; one row a triangle holds
        # these and what is interpolated, so that each pixel gathers once.
        a, (ox, oy) = area[shown], corners[shown, 0].T
        f1, f2 = e1[shown], e2[shown]
        first = np.stack([f2[:, 1] / a, -f2[:, 0] / a, (f2[:, 0] * oy - f2[:, 1] * ox) / a], 1)
        second = np.stack([-f1[:, 1] / a, f1[:, 0] / a, (f1[:, 1] * ox - f1[:, 0] * oy) / a], 1)
        # (F, 3, 6)
        values = np.concatenate([texels, normals, person.ambient[:, None]], 1, dtype=np.float32)[tri[shown]]
        values[:, 1:] -= values[:, :1]
        table = np.concatenate([first, second, values.reshape(-1, 18)], 1, dtype=np.float32)  # (F, 24)
        got = table.take(which, 0)
        px, py = xs.astype(np.float32), ys.astype(np.float32)
        w1 = np.clip(got[:, 0] * px + got[:, 1] * py + got[:, 2], -0.5, 1.5)[:, None]
        w2 = np.clip(got[:, 3] * px + got[:, 4] * py + got[:, 5], -0.5, 1.5)[:, None]
        value = got[:, 6:12] + w1 * got[:, 12:18] + w2 * got[:, 18:24]  # (P, 6)
        colour = _sample(person.look.atlas, value[:, 0], value[:, 1])
        lit = self._light(value[:, 2:5], value[:, 5:6])
        picture = self._composed(_shoulder(colour * lit[0] + lit[1]), ys, xs, shown[which], k)
        marks2 = self.project(marks)
        self._shine(picture, vertices, shown, k)
        if person.look.glasses:
            self._glasses(picture, k)
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), take.blur * size / 256), np.float32)
        picture *= self.lens
        np.sqrt(picture, out=picture)
        picture *= 255
        dx, dy = self.offsets.integers(0, 64, 2)
        picture += self.noise[dy : dy + size, dx : dx + size]
        return np.clip(picture, 0, 255).astype(np.uint8), self._outline(marks2, screen, normals)

    def _composed(
        self, skin: NDArray[np.float32], ys: NDArray[np.int64], xs: NDArray[np.int64], of: NDArray[np.int64], k: int
    ) -> NDArray[np.float32]:
        """Room, locks, neck, clothes, and everything before them. skin : (P, 3) of the pixels (ys, xs). of : (P,) their triangles."""
        picture = self.backdrop.copy()
        moved = np.c_[np.eye(2), self.take.body[k] * self.scale]
        body = cv2.warpAffine(self.torso, moved, (self.size, self.size), borderMode=cv2.BORDER_REPLICATE)
        neck, hair = self._is(of, "neck"), self._is(of, "locks")
        front = ~(neck | hair)
        picture[ys[hair], xs[hair]] = skin[hair]
        picture[ys[neck], xs[neck]] = skin[neck]
        picture += (body[..., :3] - picture) * body[..., 3, None]
        picture[ys[front], xs[front]] = skin[front]
        return picture

    def _is(self, triangles: NDArray[np.int64], name: str) -> NDArray[np.bool_]:
        low, high = self.ranges.get(name, (-1, -1))
        first = self.person.triangles[triangles, 0]
        return np.asarray((first >= low) & (first < high))

    def _light(
        self, normals: NDArray[np.float32], ambient: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        key, colour, around, fill = self.take.light
        n = normals / np.maximum(np.sqrt((normals**2).sum(1, keepdims=True)), 1e-6)
        facing = n @ key.astype(np.float32)
        wrap = np.clip((facing + 0.22) / 1.22, 0, 1)
        other = np.clip(n @ np.array([-key[0], -0.1, 0.55], np.float32), 0, 1) * fill
        sky = 0.80 - 0.20 * n[:, 1]
        light = around.astype(np.float32) * sky[:, None] + colour.astype(np.float32) * wrap[:, None] + other[:, None]
        halfway = key + (0, 0, 1)
        shine = np.clip(n @ (halfway / np.linalg.norm(halfway)).astype(np.float32), 0, 1) ** 22 * 0.055
        edge = 0.72 + 0.28 * np.clip(n[:, 2:3] * 1.6, 0, 1)  # skin turning away darkens a little
        return light * ambient * edge, (colour.astype(np.float32) * shine[:, None]) * ambient**2

    def _shine(self, picture: NDArray[np.float32], vertices: Array, shown: NDArray[np.int64], k: int) -> None:
        """The light's reflection on the eyes, where an eye is what the camera sees."""
        key = self.take.light[0]
        for name in ("eye_left", "eye_right"):
            low, high = self.ranges[name]
            middle = vertices[low:high].reshape(7, 9, 3)[3, 4] + np.array([*(self.take.gaze[k] + key[:2] * 0.028), 0.0])
            x, y = self.project(middle[None])[0]
            xi, yi = round(float(x)), round(float(y))
            if not (0 <= xi < self.size and 0 <= yi < self.size):
                continue
            n = self.ids[yi, xi]
            if n and low <= self.person.triangles[shown[n - 1], 0] < high:
                at, radius = (round(x * 16), round(y * 16)), round(max(0.5, 0.0085 * self.scale) * 16)
                cv2.circle(picture, at, radius, (0.85, 0.85, 0.85), -1, cv2.LINE_AA, 4)

    def _glasses(self, picture: NDArray[np.float32], k: int) -> None:
        assert self.person.look.glasses is not None
        wide, tall, power, colour = self.person.look.glasses
        turn = rotation(self.take.yaw[k], self.take.pitch[k], self.take.roll[k])
        angle = np.linspace(0, 2 * np.pi, 41)
        c, s = np.cos(angle), np.sin(angle)
        rim = np.c_[np.sign(c) * np.abs(c) ** (2 / power) * wide, np.sign(s) * np.abs(s) ** (2 / power) * tall]
        width = max(1, round(self.scale * 0.028))
        ink = tuple((np.array(colour) / 255.0) ** 2)
        anchors = self.person.anchors
        lines = []
        for group, temple in ((slice(36, 42), 0), (slice(42, 48), 16)):
            middle, height, _ = anchors[group].mean(0)
            side, reach = np.sign(middle), abs(middle)
            x = rim[:, 0] + middle * 1.03
            lines.append(np.c_[x, rim[:, 1] + height + 0.035, 0.34 - 0.35 * np.abs(x) ** 2])
            hinge = np.array([side * (reach * 1.03 + wide), height - 0.03, 0.34 - 0.35 * (reach + wide) ** 2])
            ear = anchors[temple] + (side * 0.03, -0.06, 0.05)
            turned = (hinge - PIVOT) @ turn.T, (ear - PIVOT) @ turn.T
            if abs(turned[1][0]) > abs(turned[0][0]) * 0.98:  # the arm is seen only on the side turned to us
                lines.append(np.array([hinge, ear]))
        inner = abs(anchors[36:42].mean(0)[0]) * 1.03 - wide
        t = np.linspace(-1, 1, 7)
        lines.append(np.c_[t * inner, -0.015 - 0.03 * (1 - t**2), np.full(7, 0.36)])
        for line in lines:
            pixels = self.project((line - PIVOT) @ turn.T + PIVOT + self.take.shift[k])
            cv2.polylines(picture, [np.round(pixels * 16).astype(np.int32)], False, ink, width, cv2.LINE_AA, 4)

    def _outline(self, marks: Array, screen: Array, normals: Array) -> NDArray[np.float32]:
        """Landmarks in pixels; jaw points that have turned behind the cheek are put on the visible outline at their height."""
        out = marks.astype(np.float32)
        face, hidden = screen[: len(head.mesh().uv)][self.cheeks], False
        for i in (*range(6, -1, -1), *range(10, 17)):  # on each side from the chin to the ear
            # Before the ear the skin turns to the front again: what lies beyond a point that is hidden is hidden too.
            hidden = normals[i, 2] <= 0.0 or (hidden and abs(i - 8) > 5)
            if not hidden:
                continue
            near = face[np.abs(face[:, 1] - marks[i, 1]) < 0.07 * self.scale, 0]
            # Where hair covers that side's cheek, what is near is the other side's: an outline is never further in than the point.
            out[i, 0] = near.min(initial=marks[i, 0]) if i < 8 else near.max(initial=marks[i, 0])
        return out
