"""The network's grid and shape planned from the data, after the rules of nnU-Net.

Isensee et al. 2021 (Nature Methods 18:203, online methods and supplement): the target spacing is
the data's median, finer along an axis that is much coarser than the others; the patch has the shape
of the median scan and shrinks until a step fits into memory; an axis is halved while it is long
enough and not coarser than the others that can be halved.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.segmenter_config import SegmentationPlan, SegmenterRecipe

ANISOTROPIC = 3.0
"""An axis this many times coarser than the others, with as many times fewer voxels, gets the 10th
percentile of its spacings."""
COARSE = 2.0
"""An axis this many times coarser than the finest is neither halved nor, before it has once been
finer, convolved over."""
LEAST_SIDE = 4
"""Voxels along an axis at the coarsest level."""
FIRST_PATCH_VOXELS = 256**3
"""Of the patch from which shrinking starts."""
BYTES = 4
KEPT_MAPS = 12
"""Feature maps a level that a training step holds per filter: two convolutions with their norms and
activations on either side of the network, their inputs, and the gradients."""
ANSWER_MAPS = 4
"""Copies of the classes' maps a supervised level: logits, their softmax, truth, gradients."""

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
    if planning.in_plane_patch is not None:
        patch[1:] = planning.in_plane_patch
    free = np.array([True, *[planning.in_plane_patch is None] * 2])
    plan = _plan(patch, spacing_mm, median, recipe)
    while plan.memory_gb > planning.memory_gb:
        shrunk = _shrunk(plan, median, recipe, free)
        if shrunk == plan.patch:
            break
        plan = _plan(np.array(shrunk), spacing_mm, median, recipe)
    return plan


def _target_spacing(
    scans: Sequence[ScanShape], in_plane_mm: float | None
) -> tuple[float, float, float]:
    spacings = np.array([scan.spacing_mm for scan in scans])
    voxels = np.median([scan.shape for scan in scans], axis=0)
    target = np.median(spacings, axis=0)
    coarsest = int(target.argmax())
    others_mm = np.delete(target, coarsest).max()
    is_coarse = target[coarsest] > ANISOTROPIC * others_mm
    if is_coarse and voxels[coarsest] * ANISOTROPIC < np.delete(voxels, coarsest).min():
        target[coarsest] = max(np.percentile(spacings[:, coarsest], 10), others_mm)
    target[1:] = in_plane_mm or target[1:].mean()  # slices are resampled to square pixels
    z, row, column = (round(float(side), 3) for side in target)
    return z, row, column


def _first_patch(median: Axes, spacing_mm: tuple[float, float, float]) -> Axes:
    """Return a patch of equal sides in mm, no longer than the median scan."""
    sides = 1 / np.array(spacing_mm)
    sides *= (FIRST_PATCH_VOXELS / sides.prod()) ** (1 / 3)
    return np.minimum(np.rint(sides).astype(np.int64), median)


def _shrunk(
    plan: SegmentationPlan, median: Axes, recipe: SegmenterRecipe, free: NDArray[np.bool_]
) -> tuple[int, ...]:
    """Return the patch one step shorter along the free axis that covers most of the median scan."""
    patch = np.array(plan.patch)
    step = np.prod(plan.strides, axis=0)
    can = free & (patch - step >= LEAST_SIDE * step)
    if not can.any():
        can = free & (patch // 2 >= LEAST_SIDE)
        step = np.where(can, patch - patch // 2, 0)
    if not can.any():
        return plan.patch
    axis = 2 - int(np.where(can, patch / median, -1)[::-1].argmax())  # of equal ones the last
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
    """Return strides and kernels of each level, finest first; the coarsest convolves all axes."""
    side, spacing = patch.astype(np.float64), spacing_mm.copy()
    convolved = spacing < COARSE * spacing.min()
    strides, kernels = [_three(np.ones(3))], [_kernel(convolved)]
    while len(strides) < levels_max:
        halved = _halved(side, spacing)
        if not halved.any():
            break
        side = np.where(halved, np.ceil(side / 2), side)
        spacing = np.where(halved, spacing * 2, spacing)
        convolved = convolved | (spacing < COARSE * spacing.min())
        strides.append(_three(np.where(halved, 2, 1)))
        kernels.append(_kernel(convolved))
    return tuple(strides), (*kernels[:-1], (3, 3, 3))


def _halved(side: NDArray[np.float64], spacing: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which axes the next level halves: those long enough and none too coarse of them."""
    can = side >= 2 * LEAST_SIDE
    if not can.any():
        return can
    halved = can & (spacing < COARSE * spacing[can].min())
    if halved.sum() == 1 and side[halved] < 3 * LEAST_SIDE:
        return np.zeros(3, dtype=np.bool_)
    return np.asarray(halved)


def _kernel(convolved: NDArray[np.bool_]) -> tuple[int, int, int]:
    return _three(np.where(convolved, 3, 1))


def _memory_gb(
    patch: Axes, strides: Sequence[tuple[int, int, int]], recipe: SegmenterRecipe
) -> float:
    model, side = recipe.model, patch.astype(np.float64)
    filters, supervised = model.filters(len(strides)), model.coarser_supervised(len(strides))
    total, answers = 0.0, (len(model.classes) + 1) * ANSWER_MAPS
    for level, stride in enumerate(strides):
        side = side / stride
        total += side.prod() * (filters[level] * KEPT_MAPS + answers * (level <= supervised))
    return float(total * recipe.optimiser.batch_size * BYTES / 1e9)


def _three(values: NDArray[np.int64] | NDArray[np.float64]) -> tuple[int, int, int]:
    z, row, column = (int(value) for value in values)
    return z, row, column
