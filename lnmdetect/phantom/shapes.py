"""Shapes of the atlas and the contour tables they become.

Frame: mm; x to the patient's left, y to the back, z to the head; the origin is the middle of the
fourth cervical vertebral body. Shapes are written for the left side (x > 0) and mirrored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

Floats = NDArray[np.float32]

TABLE_STEP_MM = 1.0
ELLIPSE_POINTS = 24
RIBBON_POINTS = 14
OUTLINE_POINTS = 96


@dataclass(frozen=True)
class Blob:
    """A tube along z with an elliptic cross-section.

    Attributes:
        rows: (z, centre x, centre y, radius x, radius y[, angle in degrees]) per key level.
        taper_mm: length over which both ends close.
        wobble: relative deviation of the contour from the ellipse.
    """

    name: str
    tissue: str
    rows: Sequence[tuple[float, ...]]
    paired: bool = True
    taper_mm: float = 5.0
    wobble: float = 0.05


@dataclass(frozen=True)
class Ribbon:
    """A band along z whose cross-section follows a centre line.

    Attributes:
        rows: (z, width, (x, y), (x, y), ...) per key level, the same number of points in each.
        closed: mirror the centre line at x = 0, for bands that cross the midline.
    """

    name: str
    tissue: str
    rows: Sequence[tuple[float, float, Sequence[tuple[float, float]]]]
    paired: bool = True
    across: bool = False
    taper_mm: float = 4.0


@dataclass(frozen=True)
class Tube:
    """A round tube along any path: rows of (x, y, z, radius)."""

    name: str
    tissue: str
    rows: Sequence[tuple[float, float, float, float]]
    paired: bool = True


Shape = Blob | Ribbon | Tube


@dataclass(frozen=True)
class Jitter:
    """How one instance of a shape differs from the atlas.

    Attributes:
        shift_mm: (x, y, z).
        scale: of radii and widths.
        phases: (2, 3) harmonics' phases and amplitudes, for the wobble of blobs.
    """

    shift_mm: tuple[float, float, float]
    scale: float
    phases: NDArray[np.float64]


@dataclass(frozen=True)
class Contours:
    """Closed contours of one structure, one per mm of z.

    Attributes:
        z_low_mm: z of the first contour.
        points: (levels, points, 2) mm.
    """

    z_low_mm: float
    points: Floats

    @property
    def z_high_mm(self) -> float:
        """The z of the last contour."""
        return self.z_low_mm + TABLE_STEP_MM * (len(self.points) - 1)

    def at(self, z_mm: float) -> Floats | None:
        """Return the (points, 2) contour at `z_mm`, None beyond the ends."""
        place = (z_mm - self.z_low_mm) / TABLE_STEP_MM
        if place < 0 or place > len(self.points) - 1:
            return None
        low = min(int(place), len(self.points) - 2)
        share = np.float32(place - low)
        blended: Floats = self.points[low] * (1 - share) + self.points[low + 1] * share
        return blended


def draw_jitter(rng: np.random.Generator, amount: float) -> Jitter:
    """Return a random variation of one shape; `amount` 1 is lifelike."""
    shift = rng.normal(0, 1, 3) * (0.8, 0.8, 1.5) * amount
    phases = np.stack([rng.uniform(0, 2 * np.pi, 3), np.clip(rng.normal(0, 0.7, 3), -1.2, 1.2)])
    scale = float(np.exp(rng.normal(0, 0.06 * amount)))
    return Jitter((float(shift[0]), float(shift[1]), float(shift[2])), scale, phases)


def _levels(z_keys: NDArray[np.float64]) -> NDArray[np.float64]:
    count = max(2, int(np.ceil((z_keys[-1] - z_keys[0]) / TABLE_STEP_MM)) + 1)
    return np.asarray(z_keys[0] + TABLE_STEP_MM * np.arange(count), dtype=np.float64)


def _taper(levels: NDArray[np.float64], taper_mm: float) -> NDArray[np.float64]:
    depth = np.minimum(levels - levels[0], levels[-1] - levels) / max(taper_mm, 1e-6)
    depth = np.clip(depth, 0.02, 1)
    return np.asarray(np.sqrt(1 - (1 - depth) ** 2), dtype=np.float64)


def interpolate_rows(
    z_keys: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (levels, values at the levels), monotone cubic between the key rows."""
    order = np.argsort(z_keys)
    z_keys, values = z_keys[order], values[order]
    levels = _levels(z_keys)
    inside = np.clip(levels, z_keys[0], z_keys[-1])
    return levels, np.asarray(PchipInterpolator(z_keys, values, axis=0)(inside))


@cache
def _spline_weights(knots: int, count: int) -> NDArray[np.float64]:
    """Return the (count, knots) matrix of a cubic spline through equally spaced knots."""
    spline = CubicSpline(np.linspace(0, 1, knots), np.eye(knots))
    return np.asarray(spline(np.linspace(0, 1, count)))


@cache
def _ring_weights(knots: int) -> NDArray[np.float64]:
    """Return the (OUTLINE_POINTS, knots) matrix of a closed cubic spline."""
    cycle = np.concatenate([np.eye(knots), np.eye(knots)[:1]])
    spline = CubicSpline(np.linspace(0, 1, knots + 1), cycle, bc_type="periodic")
    return np.asarray(spline(np.linspace(0, 1, OUTLINE_POINTS, endpoint=False)))


def blob_contours(blob: Blob, jitter: Jitter) -> Contours:
    """Return the contours of a blob on the left side."""
    rows = np.array([tuple(row) + (0.0,) * (6 - len(row)) for row in blob.rows], dtype=np.float64)
    levels, values = interpolate_rows(rows[:, 0], rows[:, 1:])
    centre_x, centre_y, radius_x, radius_y, angle = values.T
    turn = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS, endpoint=False)
    drift = levels[:, None] * np.array([0.03, -0.04, 0.05])
    bumps = jitter.phases[1] * np.sin(
        turn[:, None] * np.array([2, 3, 4]) + (jitter.phases[0] + drift)[:, None, :]
    )
    radius = (1 + blob.wobble * bumps.sum(-1)) * jitter.scale
    radius = radius * _taper(levels, blob.taper_mm)[:, None]
    local_x = radius_x[:, None] * np.cos(turn) * radius
    local_y = radius_y[:, None] * np.sin(turn) * radius
    cosine, sine = np.cos(np.radians(angle))[:, None], np.sin(np.radians(angle))[:, None]
    x = centre_x[:, None] + cosine * local_x - sine * local_y + jitter.shift_mm[0]
    y = centre_y[:, None] + sine * local_x + cosine * local_y + jitter.shift_mm[1]
    return Contours(float(levels[0]) + jitter.shift_mm[2], np.stack([x, y], -1).astype(np.float32))


def ribbon_contours(ribbon: Ribbon, jitter: Jitter) -> Contours:
    """Return the contours of a ribbon on the left side (or across the midline)."""
    z_keys = np.array([row[0] for row in ribbon.rows], dtype=np.float64)
    lines = np.array([row[2] for row in ribbon.rows], dtype=np.float64)
    if ribbon.across:
        lines = np.concatenate([lines[:, :0:-1] * (-1, 1), lines], axis=1)
    packed = np.concatenate(
        [np.array([[row[1]] for row in ribbon.rows]), lines.reshape(len(lines), -1)], axis=1
    )
    levels, values = interpolate_rows(z_keys, packed)
    coarse = values[:, 1:].reshape(len(levels), -1, 2)
    count = RIBBON_POINTS * (2 if ribbon.across else 1)
    place = np.linspace(0, 1, count)
    knots = coarse.shape[1]
    weights = _spline_weights(knots, count)
    line = np.einsum("pk,lkc->lpc", weights, coarse)
    line = line + np.array(jitter.shift_mm[:2])
    tangent = np.gradient(line, axis=1)
    normal = np.stack([-tangent[..., 1], tangent[..., 0]], -1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    profile = np.sqrt(np.maximum(0.02, 1 - np.abs(2 * place - 1) ** 5))
    wobble = 1 + 0.08 * jitter.phases[1][0] * np.sin(5 * place + jitter.phases[0][0])
    half = values[:, :1] / 2 * jitter.scale * profile * wobble
    half = half * _taper(levels, ribbon.taper_mm)[:, None]
    edge = normal * half[..., None]
    points = np.concatenate([line + edge, (line - edge)[:, ::-1]], axis=1)
    return Contours(float(levels[0]) + jitter.shift_mm[2], points.astype(np.float32))


def tube_balls(tube: Tube, jitter: Jitter) -> Floats:
    """Return (balls, 4) of (x, y, z, radius) that fill a tube on the left side."""
    rows = np.array(tube.rows, dtype=np.float64)
    steps = np.linalg.norm(np.diff(rows[:, :3], axis=0), axis=1)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(2, int(place[-1] / max(0.3, 0.3 * rows[:, 3].min())))
    dense = PchipInterpolator(place, rows, axis=0)(np.linspace(0, place[-1], count))
    bend = 1.2 * np.sin(np.linspace(0, place[-1] / 12, count)[:, None] + jitter.phases[0])
    dense[:, :3] += bend * np.sin(np.linspace(0, np.pi, count))[:, None] + jitter.shift_mm
    dense[:, 3] *= jitter.scale
    return np.asarray(dense, dtype=np.float32)


def mirrored(points: Floats) -> Floats:
    """Return points (..., >= 2) mirrored at x = 0."""
    flipped = points.copy()
    flipped[..., 0] *= -1
    return flipped


def outline_contours(rows: Sequence[tuple[float, Sequence[tuple[float, float]]]]) -> Contours:
    """Return closed contours of a symmetric outline.

    Args:
        rows: (z, [(x, y), ...]) per key level from the front to the back of the left half.
    """
    z_keys = np.array([row[0] for row in rows], dtype=np.float64)
    halves = np.array([row[1] for row in rows], dtype=np.float64)
    levels, values = interpolate_rows(z_keys, halves.reshape(len(halves), -1))
    half = values.reshape(len(levels), -1, 2)
    ring = np.concatenate([half, half[:, -2:0:-1] * (-1, 1), half[:, :1]], axis=1)
    knots = ring.shape[1] - 1
    points = np.einsum("pk,lkc->lpc", _ring_weights(knots), ring[:, :knots])
    return Contours(float(levels[0]), points.astype(np.float32))
