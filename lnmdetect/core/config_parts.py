"""The parts that recipes of all arms are made of, each checked when read."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Norm = Literal["batch", "frozen", "group"]
"""Of the layers between convolutions, in networks that are published with batch norms: `batch`:
over the batch that a process holds; `frozen`: with the statistics and affine map of the first
weights, which training leaves alone, so of use with `--init` only, and `group` where published
weights have no such norm (attention, a detector's head); `group`: over 32 groups of each
item's channels (Wu and He 2018), whatever the batch."""


class Part(BaseModel):
    """A frozen part of a recipe; unknown keys are refused so that a misspelling cannot pass."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputConfig(Part):
    """How HU becomes the channels a model sees: offsets x windows, offsets varying slowest.

    Attributes:
        spacing_mm: in-plane spacing to resample to; None keeps the scan's own pixels.
        windows_hu: (low, high) of each window, mapped to [0, 1].
        slice_offsets_mm: along the slice normal, 0 being the slice itself; absent neighbours are
            replaced by the slice itself.
        body_mask: whether what lies outside the patient (couch, head holder) is set to air.
    """

    spacing_mm: Positive | None = None
    windows_hu: tuple[tuple[float, float], ...] = Field(min_length=1)
    slice_offsets_mm: tuple[float, ...] = Field(min_length=1)
    body_mask: bool = True

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.windows_hu) * len(self.slice_offsets_mm)

    @model_validator(mode="after")
    def _check(self) -> "InputConfig":
        if 0.0 not in self.slice_offsets_mm:
            raise ValueError("slice_offsets_mm: expected 0.0 (the slice itself) among them")
        if any(high <= low for low, high in self.windows_hu):
            raise ValueError("windows_hu: expected low < high in each window")
        return self


class AugmentationConfig(Part):
    """Random changes drawn afresh whenever a training image is seen; never before the split.

    Attributes:
        copies: how many times an epoch passes each image.
        rotation_deg: largest rotation, either way.
        scale: largest relative change of size, either way.
        mirror: probability of a left-right flip; flip_vertical: of an anterior-posterior one.
        brightness: largest shift, as a share of the window; contrast: largest relative change.
        noise_sd: largest standard deviation of Gaussian noise, as a share of the window.
    """

    copies: Count = 1
    rotation_deg: float = Field(default=0, ge=0, le=180)
    scale: float = Field(default=0, ge=0, lt=1)
    mirror: Share = 0
    flip_vertical: Share = 0
    brightness: float = Field(default=0, ge=0, le=1)
    contrast: float = Field(default=0, ge=0, lt=1)
    noise_sd: float = Field(default=0, ge=0, le=1)


class OptimiserConfig(Part):
    """Optimiser, schedule and length of a training.

    Attributes:
        nesterov: whether sgd looks ahead along its momentum.
        schedule: polynomial falls to 0 with the remaining share of the training to the power 0.9.
        gamma: factor of each step of the step and plateau schedules.
        step_epochs: epochs between two steps of the step schedule.
        plateau_epochs: epochs without a better validation metric after which the plateau schedule
            takes a step.
        patience: epochs without a better validation metric before stopping; None never stops early.
        steps_an_epoch: None for one pass over the training images (times the copies).
        accumulate: batches whose gradients are averaged for one optimiser step: the memory of
            `batch_size`, the step of `accumulate` times as many.
    """

    name: Literal["sgd", "adam", "adamw"]
    learning_rate: Positive
    weight_decay: float = Field(ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    schedule: Literal["constant", "step", "cosine", "plateau", "polynomial"] = "constant"
    gamma: float = Field(default=0.1, gt=0, le=1)
    step_epochs: Count | None = None
    plateau_epochs: Count | None = None
    warmup_steps: int = Field(default=0, ge=0)
    epochs: Count
    steps_an_epoch: Count | None = None
    batch_size: Count
    accumulate: Count = 1
    gradient_clip: Positive | None = None
    patience: Count | None = None

    @model_validator(mode="after")
    def _check(self) -> "OptimiserConfig":
        if self.schedule == "step" and self.step_epochs is None:
            raise ValueError("step_epochs: expected a number with schedule: step")
        if self.schedule == "plateau" and self.plateau_epochs is None:
            raise ValueError("plateau_epochs: expected a number with schedule: plateau")
        return self
