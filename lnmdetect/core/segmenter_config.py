"""The recipe of the segmentation arm, and the plan that training makes from it and the data."""

from typing import Literal

from pydantic import Field, model_validator

from lnmdetect.core.config_parts import (
    AugmentationConfig,
    Count,
    InputConfig,
    OptimiserConfig,
    Part,
    Positive,
)
from lnmdetect.core.node_classes import CLASS_SETS, THREE

Axes3 = tuple[Count, Count, Count]


class SegmenterConfig(Part):
    """Which network, and its sizes.

    Attributes:
        classes: one of `core.node_classes.CLASS_SETS`; the background is not among them.
        base_filters: channels of the finest level; each further level has twice as many.
        max_filters: no level has more.
        supervised_levels: coarser levels of the decoder that are compared with the truth too; None:
            all but the two coarsest of the network (Isensee et al. 2021).
        coarse: whether P(node) of a segmenter at a coarser spacing is one more channel: the second
            stage of a cascade. Set by the training where it is given a first stage.
        loss: `joint`: Dice of each class and cross-entropy over all; `conditional`: Dice and
            cross-entropy of node or not, and apart from them the class within true nodes, every
            class as heavy as any other, however few its voxels are.
        class_weight: of the class's term beside the two of node or not, in the conditional loss.
    """

    classes: tuple[str, ...] = THREE
    base_filters: Count = 32
    max_filters: Count = 320
    supervised_levels: int | None = Field(default=None, ge=0)
    coarse: bool = False
    class_weight: Positive = 1
    loss: Literal["joint", "conditional"] = "joint"

    @model_validator(mode="after")
    def _check(self) -> "SegmenterConfig":
        if self.classes not in CLASS_SETS:
            raise ValueError(f"classes: expected one of {', '.join(map(str, CLASS_SETS))}")
        return self

    def filters(self, levels: int) -> tuple[int, ...]:
        """Return the channels of each of a network's levels, finest first."""
        return tuple(min(self.base_filters * 2**i, self.max_filters) for i in range(levels))

    def coarser_supervised(self, levels: int) -> int:
        """Return how many levels beside the finest are compared with the truth; never the last."""
        wanted = levels - 3 if self.supervised_levels is None else self.supervised_levels
        return max(0, min(wanted, levels - 2))


class SegmenterPlanning(Part):
    """What the plan is held to; what is None is planned from the data.

    Attributes:
        spacing_mm: (z, row, column) to resample to.
        in_plane_mm: row and column spacing, where z is left to the data.
        in_plane_patch: (row, column) voxels of the patch, whose depth is left to the memory.
        patch: (z, row, column) voxels.
        memory_gb: that the estimate of a training step may reach; the patch shrinks until it does.
        levels_max: of resolution, the finest included.
    """

    spacing_mm: tuple[Positive, Positive, Positive] | None = None
    in_plane_mm: Positive | None = None
    in_plane_patch: tuple[Count, Count] | None = None
    patch: Axes3 | None = None
    memory_gb: Positive = 8
    levels_max: Count = 6

    @model_validator(mode="after")
    def _check(self) -> "SegmenterPlanning":
        if self.patch is not None and self.in_plane_patch is not None:
            raise ValueError("planning: expected patch or in_plane_patch, not both")
        if self.spacing_mm is not None and self.in_plane_mm is not None:
            raise ValueError("planning: expected spacing_mm or in_plane_mm, not both")
        return self


class SegmentationPlan(Part):
    """What was planned from the data: the network's grid and shape.

    Attributes:
        spacing_mm: (z, row, column) of the network's voxels.
        patch: (z, row, column) voxels the network sees at once.
        strides: of each level against the one before it, the first being 1.
        kernels: of each level's convolutions.
        memory_gb: estimate of a training step.
        median_shape: voxels of the data's scans at this spacing.
    """

    spacing_mm: tuple[Positive, Positive, Positive]
    patch: Axes3
    strides: tuple[Axes3, ...]
    kernels: tuple[Axes3, ...]
    memory_gb: Positive
    median_shape: Axes3

    @model_validator(mode="after")
    def _check(self) -> "SegmentationPlan":
        if len(self.strides) != len(self.kernels):
            raise ValueError("strides, kernels: expected one of each a level")
        return self


class SegmenterSampling(Part):
    """Where training patches are cut.

    Attributes:
        node_share: of the patches that are placed on a node, at a random place within the patch,
            and hold some of it after all changes; of any first n patches of an epoch at least this
            share.
        class_balanced: whether each class is as likely as any other to be the one placed on,
            however rare it is.
        validation_patches: fixed ones, on nodes and elsewhere in the same shares.
    """

    node_share: float = Field(default=1 / 3, ge=1 / 3, le=1)
    class_balanced: bool = True
    validation_patches: Count = 96


class SegmenterRecipe(Part):
    """All that defines the segmentation arm.

    Attributes:
        input: its windows; the grid is the plan's.
        plan: filled in by the training, never by hand.
        window_overlap: share of a window that the next one covers too, along each axis.
        min_volume_mm3: smaller pieces of the mask are removed.
    """

    arm: Literal["segmenter"] = "segmenter"
    name: str
    source: str
    input: InputConfig
    model: SegmenterConfig
    planning: SegmenterPlanning = SegmenterPlanning()
    plan: SegmentationPlan | None = None
    sampling: SegmenterSampling = SegmenterSampling()
    augmentation: AugmentationConfig
    optimiser: OptimiserConfig
    validation_share: float = Field(default=0.2, gt=0, lt=1)
    window_overlap: float = Field(default=0.5, ge=0, lt=1)
    min_volume_mm3: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> "SegmenterRecipe":
        if self.input.slice_offsets_mm != (0.0,) or self.input.spacing_mm is not None:
            raise ValueError(
                "input: expected slice_offsets_mm: [0.0] and no spacing_mm; a segmenter sees "
                "volumes, whose spacing is planned"
            )
        return self
