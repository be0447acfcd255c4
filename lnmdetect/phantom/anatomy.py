"""One patient's anatomy: structures in painting order, and the label map of any level."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lnmdetect.phantom.deformation import UPRIGHT, Deformation
from lnmdetect.phantom.shapes import (
    Blob,
    Contours,
    Floats,
    Shape,
    Tube,
    blob_contours,
    draw_jitter,
    mirrored,
    ribbon_contours,
    tube_balls,
)

Labels = NDArray[np.uint8]

AIR_LABEL = 0
SUBPIXEL_BITS = 4
SUBPIXEL = 1 << SUBPIXEL_BITS


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a slice lie.

    Attributes:
        shape: (rows, columns).
        pixel_mm: of the square pixels.
        centre_mm: (x, y) of the middle of the image in the patient's frame.
    """

    shape: tuple[int, int]
    pixel_mm: float
    centre_mm: tuple[float, float]

    def to_pixels(self, points_mm: Floats) -> Floats:
        """Return (n, 2) (column, row) coordinates; (0, 0) is the corner of the first pixel."""
        middle = np.array([self.shape[1] / 2, self.shape[0] / 2], dtype=np.float32)
        shifted = points_mm - np.asarray(self.centre_mm, dtype=np.float32)
        return np.asarray(shifted / np.float32(self.pixel_mm) + middle, dtype=np.float32)

    def finer(self, factor: int) -> "Grid":
        """Return the same field of view with `factor` times as many pixels a side."""
        rows, columns = self.shape
        return Grid((rows * factor, columns * factor), self.pixel_mm / factor, self.centre_mm)


@dataclass(frozen=True)
class Structure:
    """One painted structure: contours along z, or the balls of a tube.

    Attributes:
        label: index into the patient's tissue tables.
        centres: (levels, 2) of the contours, mm, for the tilt.
        balls: (n, 4) x, y, z, radius.
    """

    name: str
    tissue: str
    label: int
    contours: Contours | None = None
    centres: Floats | None = None
    balls: Floats | None = None


VARYING_TISSUES = frozenset(
    {"muscle", "artery", "vein", "small_vessel", "submandibular", "plastic"}
)
"""Tissues whose structures each have their own HU; the others share one label."""


class LabelBook:
    """Gives structures labels from 1 and remembers their tissue."""

    def __init__(self) -> None:
        self.tissues: list[str] = ["air"]
        self._labels: dict[str, int] = {}

    def label_of(self, name: str, tissue: str) -> int:
        """Return the label of `name`, a new one at first sight."""
        key = name if tissue in VARYING_TISSUES else tissue
        if key not in self._labels:
            if len(self.tissues) > 255:
                raise ValueError("anatomy: expected at most 255 labels")
            self._labels[key] = len(self.tissues)
            self.tissues.append(tissue)
        return self._labels[key]


def _structure(
    shape: Shape, side: int, book: LabelBook, rng: np.random.Generator, amount: float
) -> Structure:
    jitter = draw_jitter(rng, amount)
    label = book.label_of(shape.name, shape.tissue)
    if isinstance(shape, Tube):
        balls = tube_balls(shape, jitter)
        return Structure(
            shape.name, shape.tissue, label, balls=balls if side > 0 else mirrored(balls)
        )
    contours = (
        blob_contours(shape, jitter) if isinstance(shape, Blob) else ribbon_contours(shape, jitter)
    )
    if side < 0:
        contours = Contours(contours.z_low_mm, mirrored(contours.points))
    centres = contours.points.mean(axis=1)
    return Structure(shape.name, shape.tissue, label, contours=contours, centres=centres)


def _marrow_of(name: str) -> str:
    return name.removesuffix("_marrow")


def build_structures(
    shapes: Iterable[Shape], book: LabelBook, rng: np.random.Generator, amount: float
) -> list[Structure]:
    """Return one structure a shape and side; a marrow follows the variation of its cortex."""
    built: list[Structure] = []
    last_seed = 0
    for shape in shapes:
        seed = int(rng.integers(2**31)) if _marrow_of(shape.name) == shape.name else last_seed
        last_seed = seed
        for side in (1, -1) if shape.paired else (1,):
            side_rng = np.random.default_rng((seed, side + 1))
            built.append(_structure(shape, side, book, side_rng, amount))
    return built


@dataclass(frozen=True)
class Anatomy:
    """Everything inside the skin, and what lies around the patient.

    Attributes:
        inner: structures within the body, in painting order.
        cranium: outer table of the skull, painted before `inner`.
        around: what lies around the patient (couch, blankets), not deformed with the patient.
        outer: structures painted after the outside was cleared (ears).
        skin_mm, skull_mm, fascia_mm: thickness of skin, skull, and the fat between muscles.
        tissues: tissue name of every label.
    """

    body: Contours
    cranium: Contours
    around: tuple[Structure, ...]
    inner: tuple[Structure, ...]
    outer: tuple[Structure, ...]
    deformation: Deformation
    skin_mm: float
    skull_mm: float
    fascia_mm: float
    tissues: tuple[str, ...]
    labels: dict[str, int]

    def paint(self, z_mm: float, grid: Grid) -> Labels:
        """Return the (rows, columns) label map of the infinitely thin slice at `z_mm`."""
        around = np.zeros(grid.shape, dtype=np.uint8)
        self._paint_structures(around, self.around, z_mm, grid, UPRIGHT)
        body = self._body_polygon(z_mm, grid)
        if body is None:
            return around
        image = self._paint_body(body, around, z_mm, grid)
        self._paint_structures(image, self.outer, z_mm, grid, self.deformation)
        return image

    def _paint_body(
        self, body: NDArray[np.int32], around: Labels, z_mm: float, grid: Grid
    ) -> Labels:
        image = np.full(grid.shape, self.labels["fat"], dtype=np.uint8)
        self._paint_cranium(image, z_mm, grid)
        self._paint_structures(image, self.inner, z_mm, grid, self.deformation)
        inside = np.zeros(grid.shape, dtype=np.uint8)
        _fill(inside, body, 1)
        shown: Labels = cv2.copyTo(image, inside, around).astype(np.uint8, copy=False)
        thickness = max(1, round(2 * self.skin_mm / grid.pixel_mm))
        cv2.polylines(shown, [body], True, self.labels["skin"], thickness, shift=SUBPIXEL_BITS)
        return shown

    def _body_polygon(self, z_mm: float, grid: Grid) -> NDArray[np.int32] | None:
        points = self.body.at(z_mm)
        if points is None:
            return None
        return _fixed_point(grid.to_pixels(self.deformation.in_plane(points, z_mm)))

    def _paint_cranium(self, image: Labels, z_mm: float, grid: Grid) -> None:
        points = self.cranium.at(z_mm)
        if points is None:
            return
        wall = self.skull_mm
        layers = (
            ("cranium", 0.0),
            ("diploe", 0.3),
            ("cranium_inner", 0.72),
            ("subdural", 1.0),
            ("brain", 1.25),
        )
        reach = float(np.abs(points - points.mean(0)).max(0).min())
        for name, share in layers:
            if wall * share > reach - 4:
                return
            ring = _shrunk(points, wall * share)
            _fill(
                image,
                _fixed_point(grid.to_pixels(self.deformation.in_plane(ring, z_mm))),
                self.labels[name],
            )

    def _paint_structures(
        self,
        image: Labels,
        structures: Sequence[Structure],
        z_mm: float,
        grid: Grid,
        deformation: Deformation,
    ) -> None:
        pieces, drawn = _gather(structures, z_mm, deformation)
        if not pieces:
            return
        moved = deformation.in_plane(np.concatenate(pieces), z_mm)
        pixels = _fixed_point(grid.to_pixels(moved))
        fascia, fat = round(2 * self.fascia_mm / grid.pixel_mm), self.labels["fat"]
        start = 0
        for piece, (label, radii) in zip(pieces, drawn, strict=True):
            part = pixels[start : start + len(piece)]
            start += len(piece)
            if radii is None:
                if fascia and self.tissues[label] == "muscle":
                    cv2.polylines(image, [part], True, fat, fascia, shift=SUBPIXEL_BITS)
                _fill(image, part, label)
                continue
            for (x, y), radius in zip(part.tolist(), radii / grid.pixel_mm * SUBPIXEL, strict=True):
                cv2.circle(image, (x, y), int(radius), label, -1, shift=SUBPIXEL_BITS)


def _gather(
    structures: Sequence[Structure], z_mm: float, deformation: Deformation
) -> tuple[list[Floats], list[tuple[int, Floats | None]]]:
    """Return the atlas points of every structure in a slice, with label and circle radii."""
    pieces: list[Floats] = []
    drawn: list[tuple[int, Floats | None]] = []
    tilt_x, tilt_y = deformation.tilt
    for item in structures:
        if item.contours is not None and item.centres is not None:
            level = min(max(int(z_mm - item.contours.z_low_mm), 0), len(item.centres) - 1)
            points = item.contours.at(deformation.atlas_z(z_mm, item.centres[level]))
            if points is not None:
                pieces.append(points)
                drawn.append((item.label, None))
        elif item.balls is not None:
            x, y, z, radius = item.balls.T
            depth = z_mm + tilt_x * x + tilt_y * y - z
            hit = np.abs(depth) < radius
            if hit.any():
                pieces.append(item.balls[hit, :2])
                drawn.append((item.label, np.sqrt(radius[hit] ** 2 - depth[hit] ** 2)))
    return pieces, drawn


def _fixed_point(pixels: Floats) -> NDArray[np.int32]:
    limited = np.clip(pixels, -30000, 30000)
    return np.asarray(np.rint((limited - 0.5) * SUBPIXEL), dtype=np.int32)


def _fill(image: Labels, polygon: NDArray[np.int32], label: int) -> None:
    cv2.fillPoly(image, [polygon], label, shift=SUBPIXEL_BITS)


def _shrunk(points: Floats, offset_mm: float) -> Floats:
    tangent = np.roll(points, -1, axis=0) - np.roll(points, 1, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], -1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    inward = np.sign(((points.mean(0) - points) * normal).sum())
    return np.asarray(points + inward * normal * np.float32(offset_mm), dtype=np.float32)
