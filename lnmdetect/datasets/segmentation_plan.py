"""The network's grid and shape planned from the data, after the rules of nnU-Net.

Isensee et al. 2021 (Nature Methods 18:203): the target spacing is the data's median, finer along
an axis that is much coarser than the others; the patch has the shape of the median scan and shrinks
until a step fits into memory; an axis is halved while it is long enough and not coarser than the
others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.segmenter_config import SegmentationPlan, SegmenterRecipe

ANISOTROPIC = 3.0
"""An axis this many times coarser than the finest gets the 10th percentile of its spacings."""
COARSE = 2.0
"""An axis this many times coarser than the finest is neither halved nor convolved over."""
LEAST_SIDE = 4
"""Voxels along an axis at the coarsest level."""
FIRST_PATCH_VOXELS = 256**3
"""Of the patch from which shrinking starts."""
BYTES = 4
KEPT_MAPS = 12
"""Feature maps a level that a training step holds per filter: two convolutions with their norms and
activations on either side of the network, their inputs, and the gradients."""

Axes = NDArray[np.int64]


@dataclass(frozen=True)
class ScanShape:
    """What planning knows of a scan.

    Attributes:
        shape: (slices, rows, columns).
        spacing_mm: (z, row, column).
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]


def plan_segmentation(scans: Sequence[ScanShape], recipe: SegmenterRecipe) -> SegmentationPlan:
    """Return the plan for the training scans, one or more."""
    planning = recipe.planning
    spacing_mm = planning.spacing_mm or _target_spacing(scans, planning.in_plane_mm)
    shapes = [np.array(s.shape) * s.spacing_mm / np.array(spacing_mm) for s in scans]
    median = np.maximum(np.rint(np.median(shapes, axis=0)), LEAST_SIDE).astype(np.int64)
    if planning.patch is not None:
        return _plan(np.array(planning.patch), spacing_mm, median, recipe)
    patch = _first_patch(median, spacing_mm)
    plan = _plan(patch, spacing_mm, median, recipe)
    while plan.memory_gb > planning.memory_gb:
        shrunk = _shrunk(plan, median)
        if shrunk == plan.patch:
            break
        plan = _plan(np.array(shrunk), spacing_mm, median, recipe)
    return plan


def _target_spacing(
    scans: Sequence[ScanShape], in_plane_mm: float | None
) -> tuple[float, float, float]:
    spacings = np.array([scan.spacing_mm for scan in scans])
    target = np.median(spacings, axis=0)
    coarsest = int(target.argmax())
    if target[coarsest] > ANISOTROPIC * np.delete(target, coarsest).max():
        target[coarsest] = np.percentile(spacings[:, coarsest], 10)
    target[1:] = in_plane_mm or target[1:].mean()  # slices are resampled to square pixels
    z, row, column = (round(float(side), 3) for side in target)
    return z, row, column


def _first_patch(median: Axes, spacing_mm: tuple[float, float, float]) -> Axes:
    """Return a patch of equal sides in mm, no longer than the median scan."""
    sides = 1 / np.array(spacing_mm)
    sides *= (FIRST_PATCH_VOXELS / sides.prod()) ** (1 / 3)
    return np.minimum(np.rint(sides).astype(np.int64), median)


def _shrunk(plan: SegmentationPlan, median: Axes) -> tuple[int, ...]:
    """Return the patch one step shorter along the axis that covers most of the median scan."""
    patch = np.array(plan.patch)
    step = np.prod(plan.strides, axis=0)
    can = patch - step >= LEAST_SIDE * step
    if not can.any():
        can = patch // 2 >= LEAST_SIDE
        step = np.where(can, patch - patch // 2, 0)
    if not can.any():
        return plan.patch
    axis = int(np.where(can, patch / median, -1).argmax())
    patch[axis] -= step[axis]
    return tuple(int(side) for side in patch)


def _plan(
    wanted: Axes, spacing_mm: tuple[float, float, float], median: Axes, recipe: SegmenterRecipe
) -> SegmentationPlan:
    """Return the plan of a patch, which grows to a multiple of the strides."""
    strides, kernels = _levels(wanted, np.array(spacing_mm), recipe.planning.levels_max)
    step = np.prod(strides, axis=0)
    patch = np.ceil(wanted / step).astype(np.int64) * step
    return SegmentationPlan(
        spacing_mm=spacing_mm,
        patch=_three(patch),
        strides=strides,
        kernels=kernels,
        memory_gb=float(f"{_memory_gb(patch, strides, recipe):.3g}"),
        median_shape=_three(median),
    )


def _levels(
    patch: Axes, spacing_mm: NDArray[np.float64], levels_max: int
) -> tuple[tuple[tuple[int, int, int], ...], tuple[tuple[int, int, int], ...]]:
    """Return strides and kernels of each level, finest first."""
    side, spacing = patch.astype(np.float64), spacing_mm.copy()
    strides, kernels = [_three(np.ones(3))], [_kernel(spacing)]
    while len(strides) < levels_max:
        halved = (side >= 2 * LEAST_SIDE) & (spacing < COARSE * spacing.min())
        if not halved.any():
            break
        side, spacing = np.where(halved, side / 2, side), np.where(halved, spacing * 2, spacing)
        strides.append(_three(np.where(halved, 2, 1)))
        kernels.append(_kernel(spacing))
    return tuple(strides), tuple(kernels)


def _kernel(spacing_mm: NDArray[np.float64]) -> tuple[int, int, int]:
    return _three(np.where(spacing_mm >= COARSE * spacing_mm.min(), 1, 3))


def _memory_gb(
    patch: Axes, strides: Sequence[tuple[int, int, int]], recipe: SegmenterRecipe
) -> float:
    model, total, side = recipe.model, 0.0, patch.astype(np.float64)
    for level, stride in enumerate(strides):
        side = side / stride
        filters = min(model.base_filters * 2**level, model.max_filters)
        total += side.prod() * filters * KEPT_MAPS
    total += patch.prod() * (len(model.classes) + 1) * (model.supervised_levels + 1) * 4
    return float(total * recipe.optimiser.batch_size * BYTES / 1e9)


def _three(values: NDArray[np.int64] | NDArray[np.float64]) -> tuple[int, int, int]:
    z, row, column = (int(value) for value in values)
    return z, row, column
