"""Ultrasound cases as batches for the fusion network."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from lnmdetect.core.errors import InputError
from lnmdetect.core.fusion_config import FusionConfig, FusionRecipe, GreyScale
from lnmdetect.core.geometry import as_boxes
from lnmdetect.core.ultrasound import ImagePlace, UltrasoundCase
from lnmdetect.datasets.draws import Draw, permuted
from lnmdetect.io.input_files import printable
from lnmdetect.transforms.augment import Augmentation
from lnmdetect.transforms.ultrasound_square import square_image

LABELS = ("benign", "metastatic")
"""The label of a case is its place here."""
BLACK_SD = 1e-3
"""A standard deviation of pixels below which there is nothing to see, and nothing to divide by."""
ReadFrame = Callable[[ImagePlace], NDArray[np.float32]]
"""Gives (H, W) in [0, 1] of an image."""


@dataclass(frozen=True)
class FusionItem:
    """One case, on the grid of a recipe.

    Attributes:
        bmode: (1, S, S) in [0, 1]; None where the case or the network has none, as with `ceus`.
        ceus: (F, 1, S, S) in [0, 1].
        finding: 1 present, -1 absent, 0 unknown.
        label: place in `LABELS`; None where it is not known.
    """

    bmode: NDArray[np.floating] | None
    ceus: NDArray[np.floating] | None
    finding: float
    label: int | None = None

    @property
    def there(self) -> tuple[str, ...]:
        """The modalities that it has."""
        has = {"bmode": self.bmode is not None, "ceus": self.ceus is not None}
        has["finding"] = self.finding != 0
        return tuple(modality for modality, is_there in has.items() if is_there)

    def without(self, modalities: Iterable[str]) -> "FusionItem":
        """Return the case as if it had not got some modalities."""
        left_out = set(modalities)
        return replace(
            self,
            bmode=None if "bmode" in left_out else self.bmode,
            ceus=None if "ceus" in left_out else self.ceus,
            finding=0.0 if "finding" in left_out else self.finding,
        )


@dataclass(frozen=True)
class FusionBatch:
    """N cases; images of cases that have none are black.

    Attributes:
        bmode: (N, 1, S, S) float32 in [0, 1].
        ceus: (N, F, 1, S, S) float32 in [0, 1].
        finding: (N, 1) float32.
        has_bmode, has_ceus: (N,) bool.
        labels: (N,) int64; None where one of them is not known.
    """

    bmode: Tensor
    ceus: Tensor
    finding: Tensor
    has_bmode: Tensor
    has_ceus: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.finding)


def collate_fusion(items: Sequence[FusionItem]) -> FusionBatch:
    """Return the cases as one batch."""
    known = [item.label for item in items if item.label is not None]
    return FusionBatch(
        bmode=_stacked([item.bmode for item in items], (1, 1, 1)),
        ceus=_stacked([item.ceus for item in items], (1, 1, 1, 1)),
        finding=torch.tensor([[item.finding] for item in items], dtype=torch.float32),
        has_bmode=torch.tensor([item.bmode is not None for item in items]),
        has_ceus=torch.tensor([item.ceus is not None for item in items]),
        labels=torch.tensor(known) if len(known) == len(items) else None,
    )


def _stacked(images: Sequence[NDArray[np.floating] | None], of_none: tuple[int, ...]) -> Tensor:
    """Return the images as one tensor, black where there is none; `of_none`: shape without any."""
    shape = next((image.shape for image in images if image is not None), of_none)
    black = np.zeros(shape, dtype=np.float32)
    return torch.from_numpy(
        np.stack([black if image is None else image.astype(np.float32) for image in images])
    )


def spread_frames(count: int, wanted: int) -> list[int]:
    """Return which of `count` frames stand for `wanted`: spread evenly, of one the middle.

    Where there are fewer than wanted, some stand twice.
    """
    middles = (np.arange(wanted) + 0.5) * count / wanted
    return [int(place) for place in middles]


def read_item(case: UltrasoundCase, read: ReadFrame, model: FusionConfig) -> FusionItem:
    """Return a case with the modalities of a network, its images as float16 to save memory.

    Raises:
        InputError: see `io.ultrasound_pixels.read_frame`; the message names the case.
    """

    def image(field: str, place: ImagePlace) -> NDArray[np.float16]:
        try:
            pixels = read(place)
        except InputError as error:
            raise type(error)(
                f"case {printable(case.case_id)!r}: {field}",
                expected=error.expected,
                got=error.got,
                remedy=error.remedy,
            ) from None
        return square_image(pixels, model.size_px).astype(np.float16)[None]

    bmode = ceus = None
    if case.bmode is not None and "bmode" in model.modalities:
        bmode = image("bmode", case.bmode)
    if case.ceus and "ceus" in model.modalities:
        places = spread_frames(len(case.ceus), model.frames)
        ceus = np.stack([image(f"ceus[{place}]", case.ceus[place]) for place in places])
    return FusionItem(
        bmode=bmode,
        ceus=ceus,
        finding=case.finding_value if "finding" in model.modalities else 0.0,
        label=None if case.label is None else LABELS.index(case.label),
    )


def can_be_answered(case: UltrasoundCase, model: FusionConfig) -> bool:
    """Return whether a case has any modality of a network."""
    return bool(set(case.modalities()) & set(model.modalities))


def measure_scale(images: Iterable[NDArray[np.floating] | None]) -> GreyScale | None:
    """Return mean and standard deviation over all pixels of all images; None without an image."""
    count, total, squares = 0, 0.0, 0.0
    for image in images:
        if image is not None:
            pixels = image.astype(np.float64)
            count += pixels.size
            total += float(pixels.sum())
            squares += float((pixels**2).sum())
    if count == 0:
        return None
    mean = total / count
    sd = float(np.sqrt(max(0.0, squares / count - mean**2)))
    return GreyScale(mean=mean, sd=max(sd, BLACK_SD))


class PlainCases(Dataset[FusionItem]):
    """Cases as they are, for validation; some of their modalities may be left out.

    Args:
        items: of `read_item`.
        without: modalities that are taken away.
    """

    def __init__(self, items: Sequence[FusionItem], without: Iterable[str] = ()) -> None:
        self.items, self.left_out = items, tuple(without)

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self.items)

    def __getitem__(self, index: int) -> FusionItem:
        """Return one case."""
        return self.items[index].without(self.left_out)


class TrainingCases(Dataset[FusionItem]):
    """Cases with randomly changed images, and some of their modalities left out.

    Args:
        items: of `read_item`.
        recipe: gives the changes.
    """

    def __init__(self, items: Sequence[FusionItem], recipe: FusionRecipe) -> None:
        self.items, self.recipe = items, recipe
        self.augmentation = Augmentation(recipe.augmentation, shift=recipe.model.shift)

    def __len__(self) -> int:
        """Return how many items one pass over the cases has."""
        return len(self.items) * self.recipe.augmentation.copies

    def __getitem__(self, draw: Draw) -> FusionItem:
        """Return the case of a draw; the same draw gives the same item."""
        rng = draw.generator()
        item = self.items[permuted(draw, len(self.items))]
        item = item.without(left_out(item.there, self.recipe.model.modality_dropout, rng))
        bmode = None if item.bmode is None else self._changed(item.bmode, rng)
        ceus = None
        if item.ceus is not None:  # all frames alike: (F, 1, S, S) to F channels and back
            ceus = self._changed(item.ceus[:, 0], rng)[:, None]
        return replace(item, bmode=bmode, ceus=ceus)

    def _changed(
        self, channels: NDArray[np.floating], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return (C, S, S) moved and lit otherwise."""
        move, light = (int(seed) for seed in rng.integers(2**31, size=2))
        moved = self.augmentation.geometric(
            channels.astype(np.float32), as_boxes([]), np.zeros(0, dtype=bool), seed=move
        )
        return self.augmentation.photometric(moved.channels, seed=light)


def left_out(there: Sequence[str], probability: float, rng: np.random.Generator) -> list[str]:
    """Return which of a case's modalities are left out at random; never all of them."""
    if not there:
        return []
    gone = rng.random(len(there)) < probability
    if gone.all():
        gone[int(rng.integers(len(there)))] = False
    return [modality for modality, is_gone in zip(there, gone, strict=True) if is_gone]
