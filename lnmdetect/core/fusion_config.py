"""The recipe of the ultrasound arm: B-mode, contrast-enhanced frames and the clinical finding."""

from typing import Literal, get_args

from pydantic import Field, field_validator

from lnmdetect.core.config_parts import (
    AugmentationConfig,
    Count,
    Norm,
    OptimiserConfig,
    Part,
    Positive,
    Share,
)

Modality = Literal["bmode", "ceus", "finding"]
ALL_MODALITIES: tuple[Modality, ...] = get_args(Modality)
IMAGE_MODALITIES = ("bmode", "ceus")


class GreyScale(Part):
    """Mean and standard deviation of a modality's pixels, which are in [0, 1]."""

    mean: Share
    sd: Positive


class FusionNormalisation(Part):
    """What is subtracted from a modality's pixels, and what they are divided by.

    Attributes:
        bmode, ceus: None: measured on the training patients and kept in the bundle's recipe.
    """

    bmode: GreyScale | None = None
    ceus: GreyScale | None = None


class FusionConfig(Part):
    """Which modalities, and how their branches are built and joined.

    Attributes:
        modalities: what the network is built of; any of them, in any order.
        backbone: of each image branch.
        width: multiplier of every layer's channels, 1 being the published.
        size_px: side of the square images; what is not square is padded with black.
        frames: contrast-enhanced ones of a case, spread evenly over those that it lists (of one,
            the middle); with several, their features are averaged with learnt weights.
        fusion: `concat`: the features side by side (Guang et al. 2023); `gated`: each modality's
            are multiplied by a number in (0, 1) before, which depends on all of them.
        dropout: of the joined features.
        modality_dropout: training: probability with which a modality of a case is left out; one
            that the case has always stays.
        shift: training: largest move of an image, as a share of its side.
        normalisation: of the images.
        norm: see `core.config_parts.Norm`; of no effect in a network without batch norms.
    """

    modalities: tuple[Modality, ...] = Field(default=ALL_MODALITIES, min_length=1)
    backbone: Literal["resnet50", "vgg11", "inception_v3"] = "resnet50"
    width: Positive = 1
    size_px: Count = 224
    frames: Count = 1
    fusion: Literal["concat", "gated"] = "concat"
    dropout: float = Field(default=0, ge=0, lt=1)
    modality_dropout: float = Field(default=0, ge=0, lt=1)
    shift: float = Field(default=0, ge=0, lt=0.5)
    normalisation: FusionNormalisation = FusionNormalisation()
    norm: Norm = "batch"

    @field_validator("modalities")
    @classmethod
    def _in_one_order(cls, given: tuple[Modality, ...]) -> tuple[Modality, ...]:
        if len(set(given)) != len(given):
            raise ValueError("modalities: expected each one once")
        return tuple(modality for modality in ALL_MODALITIES if modality in given)

    @property
    def images(self) -> tuple[Modality, ...]:
        """The modalities that are images."""
        return tuple(modality for modality in self.modalities if modality in IMAGE_MODALITIES)


class FusionRecipe(Part):
    """All that defines the ultrasound arm.

    Attributes:
        monitor: the validation figure whose best epoch is kept.
    """

    arm: Literal["fusion"] = "fusion"
    name: str
    source: str
    model: FusionConfig
    augmentation: AugmentationConfig
    optimiser: OptimiserConfig
    validation_share: float = Field(default=0.2, gt=0, lt=1)
    monitor: Literal["auc", "accuracy"] = "auc"
