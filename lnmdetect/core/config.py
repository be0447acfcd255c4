"""Recipes: every number that decides what a model is and how it is trained, checked when read.

A recipe is a YAML file (`lnmdetect/recipes/<arm>/<name>.yaml`); its comments hold the source of
each number. Defaults exist here and nowhere else, and only where a recipe need not speak.
"""

from typing import Literal

from pydantic import Field, model_validator

from lnmdetect.core.config_parts import (
    AugmentationConfig,
    Count,
    InputConfig,
    Norm,
    OptimiserConfig,
    Part,
    Positive,
    Share,
)
from lnmdetect.core.fusion_config import FusionRecipe
from lnmdetect.core.segmenter_config import SegmenterRecipe

STORED_SCORE_MIN = 0.05
"""boxes.json keeps every box scored this or more; curves need them (design, section 5)."""
YOLO_SHAPES = 9
"""Three at each of three scales (Redmon and Farhadi 2018, section 2.3)."""
CLASS_NAMES_2 = ("benign", "metastatic")
CLASS_NAMES_3 = ("not_a_node", "benign", "metastatic")


class DetectorConfig(Part):
    """Which detector, and its sizes.

    Attributes:
        architecture: name of the detector, a row of `models.detectors.DETECTORS`.
        width: multiplier of every layer's channels, 1 being the paper's.
        fpn: whether faster_rcnn stands on a feature pyramid (P2 to P6) or on the one map C4.
        roi: how faster_rcnn cuts proposals from the maps: RoIAlign or RoI pooling.
        anchor_areas_px2: in pixels of the model's grid, one a level: P2 to P6 (faster_rcnn), P3 to
            P7 (retinanet), or all on C4 (faster_rcnn without fpn); ssd and fcos have their own.
        anchor_ratios: height / width.
        anchor_shapes_px: nine (width, height) of yolov3, smallest first.
        proposals_train, proposals_test: kept after non-maximum suppression.
        roi_samples: proposals per image that enter the box loss.
        nms_iou: overlap from which the lower scored of two found boxes is dropped.
        norm: see `core.config_parts.Norm`.
    """

    architecture: Literal["faster_rcnn", "ssd", "yolov3", "retinanet", "fcos"] = "faster_rcnn"
    width: Positive = 1
    fpn: bool = True
    roi: Literal["align", "pool"] = "align"
    anchor_areas_px2: tuple[Positive, Positive, Positive, Positive, Positive]
    anchor_ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0)
    anchor_shapes_px: tuple[tuple[Positive, Positive], ...] = ()
    proposals_train: Count = 1000
    proposals_test: Count = 1000
    roi_samples: Count = 512
    nms_iou: Share = 0.5
    norm: Norm = "batch"

    @model_validator(mode="after")
    def _check(self) -> "DetectorConfig":
        shapes = len(self.anchor_shapes_px)
        if shapes != YOLO_SHAPES and (shapes or self.architecture == "yolov3"):
            raise ValueError(
                f"anchor_shapes_px: expected {YOLO_SHAPES} (width, height) for yolov3, got {shapes}"
            )
        if self.architecture != "faster_rcnn" and (not self.fpn or self.roi != "align"):
            raise ValueError("fpn, roi: only architecture: faster_rcnn has a choice of these")
        return self


class ClassifierConfig(Part):
    """A-ResNet50-W and its parts, or another network.

    Attributes:
        backbone: name of the network; `models.backbones` lists them.
        width: multiplier of every layer's channels in the ResNet family; the others ignore it.
        bottleneck_factor: 2 doubles the inner width of each bottleneck, 1 is the plain ResNet-50;
            of resnet50 only.
        attention: whether coordinate attention stands before every residual sum; of resnet50 only.
        classes: `not_a_node` first where the model has it.
        crop_margin: share of the box's longer side added, in all.
        size_px: side of the square input.
        size_channel: whether a constant channel tells the crop's side in mm, which cropping to
            the box hides; size is what radiologists look at first.
        box_jitter: training: largest shift of a box and error of the told side, as shares of them.
        background: training: boxes without a node drawn for each truth box.
        flip_average: whether an answer is the mean over the crop and its three flips; four times
            the work, never done while training.
        norm: see `core.config_parts.Norm`; of no effect in a network without batch norms.
    """

    backbone: str = "resnet50"
    width: Positive = 1
    bottleneck_factor: Count = 2
    attention: bool = True
    classes: tuple[str, ...] = CLASS_NAMES_2
    crop_margin: float = Field(default=0.5, ge=0)
    size_px: Count = 224
    size_channel: bool = False
    dropout: float = Field(default=0, ge=0, lt=1)
    box_jitter: float = Field(default=0, ge=0, lt=0.5)
    background: float = Field(default=0, ge=0)
    class_balanced: bool = True
    flip_average: bool = False
    norm: Norm = "batch"

    @model_validator(mode="after")
    def _check(self) -> "ClassifierConfig":
        if self.classes not in (CLASS_NAMES_2, CLASS_NAMES_3):
            raise ValueError(f"classes: expected {CLASS_NAMES_2} or {CLASS_NAMES_3}")
        return self


class DetectorSampling(Part):
    """Which windows of the slices a detector is trained on.

    Attributes:
        patch_px: side of the training window, in the model's grid; None for whole slices.
        empty_share: share of windows drawn from anywhere in the body instead of around a node.
    """

    patch_px: Count | None = None
    empty_share: Share = 0


class DetectorRecipe(Part):
    """All that defines the first stage."""

    arm: Literal["detector"] = "detector"
    name: str
    source: str
    input: InputConfig
    model: DetectorConfig
    sampling: DetectorSampling = DetectorSampling()
    augmentation: AugmentationConfig
    optimiser: OptimiserConfig
    validation_share: float = Field(default=0.2, gt=0, lt=1)
    validation_images: Count | None = None
    sensitivity_target: float = Field(default=0.9, gt=0, lt=1)


class ClassifierRecipe(Part):
    """All that defines the second stage.

    Crops are cut from the slices as they are: `input` has neither spacing nor body mask.

    Attributes:
        monitor: the validation figure whose best epoch is kept.
    """

    arm: Literal["classifier"] = "classifier"
    name: str
    source: str
    input: InputConfig
    model: ClassifierConfig
    augmentation: AugmentationConfig
    optimiser: OptimiserConfig
    validation_share: float = Field(default=0.2, gt=0, lt=1)
    monitor: Literal["auc", "accuracy"] = "auc"

    @model_validator(mode="after")
    def _check(self) -> "ClassifierRecipe":
        if self.input.body_mask or self.input.spacing_mm is not None:
            raise ValueError(
                "input: expected body_mask: false and no spacing_mm; a classifier's crops are cut "
                "from the slices as they are"
            )
        return self


TableRecipe = DetectorRecipe | ClassifierRecipe
"""Of the arms whose networks the published tables compare."""
Recipe = TableRecipe | SegmenterRecipe | FusionRecipe
"""Of any arm."""
