"""Random changes of training images, through albumentations; the only module that imports it."""

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.config_parts import AugmentationConfig
from lnmdetect.core.geometry import Boxes, box_centres

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else importing it asks the network

import albumentations as A
import cv2


@dataclass(frozen=True)
class AugmentedImage:
    """An image after random changes, with the boxes that are still on it.

    Attributes:
        channels: (C, H, W) float32 in [0, 1].
        boxes_xyxy: (N, 4) px.
        ignored: (N,) whether a box is left out of the loss.
    """

    channels: NDArray[np.float32]
    boxes_xyxy: Boxes
    ignored: NDArray[np.bool_]


class Augmentation:
    """Mirror, rotation and size first, then brightness, contrast and noise.

    Args:
        config: how much of each.
        shift: largest move, as a share of the image, either way.
        size_px: side, or (height, width), that is cut from the centre after the geometric
            changes; None keeps all.
    """

    def __init__(
        self,
        config: AugmentationConfig,
        *,
        shift: float = 0,
        size_px: int | tuple[int, int] | None = None,
    ) -> None:
        self._geometric = A.Compose(
            _geometric_steps(config, shift, size_px),
            bbox_params=A.BboxParams(format="pascal_voc", label_fields=["rows"], clip=True),
            keypoint_params=A.KeypointParams(format="xy", remove_invisible=False),
        )
        self._of_labels = A.Compose(_geometric_steps(config, shift, size_px))
        self._photometric = A.Compose(_photometric_steps(config))

    def geometric(
        self,
        channels: NDArray[np.float32],
        boxes_xyxy: Boxes,
        ignored: NDArray[np.bool_],
        *,
        seed: int,
    ) -> AugmentedImage:
        """Return the moved image; the same seed gives the same move.

        A box whose centre has left the image is ignored from then on, one wholly outside is gone.

        Args:
            channels: (C, H, W) in [0, 1].
            boxes_xyxy: (N, 4) px, inside the image.
            ignored: (N,) whether a box is left out of the loss.
            seed: of this one change.
        """
        self._geometric.set_random_seed(seed)
        result = self._geometric(
            image=np.ascontiguousarray(channels.transpose(1, 2, 0)),
            bboxes=boxes_xyxy.astype(np.float32),
            rows=np.arange(len(boxes_xyxy)),
            keypoints=box_centres(boxes_xyxy).astype(np.float32),
        )
        boxes = np.asarray(result["bboxes"], dtype=np.float64).reshape(-1, 4)
        rows = np.asarray(result["rows"], dtype=np.int64).reshape(-1)
        centres = np.asarray(result["keypoints"], dtype=np.float64).reshape(-1, 2)[rows]
        height, width = result["image"].shape[:2]
        outside = ((centres < 0) | (centres >= [width, height])).any(axis=1)
        sound = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
        return AugmentedImage(
            _channels_first(result["image"]), boxes[sound], (ignored[rows] | outside)[sound]
        )

    def geometric_labels(
        self, channels: NDArray[np.float32], labels: NDArray[np.uint8], *, seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return moved channels (C, h, w) and their labels (D, h, w), moved alike; outside is 0.

        Args:
            channels: (C, H, W) in [0, 1]; of a volume all its slices, in any number.
            labels: (D, H, W); each pixel keeps the label of the nearest one.
            seed: of this one change.
        """
        self._of_labels.set_random_seed(seed)
        result = self._of_labels(
            image=np.ascontiguousarray(channels.transpose(1, 2, 0)),
            mask=np.ascontiguousarray(labels.transpose(1, 2, 0)),
        )
        moved = np.ascontiguousarray(result["mask"].transpose(2, 0, 1))
        return _channels_first(result["image"]), moved

    def photometric(self, channels: NDArray[np.float32], *, seed: int) -> NDArray[np.float32]:
        """Return (C, H, W) channels of another brightness, contrast and noise, in [0, 1]."""
        self._photometric.set_random_seed(seed)
        image = np.ascontiguousarray(channels.transpose(1, 2, 0))
        return np.clip(_channels_first(self._photometric(image=image)["image"]), 0, 1)


def _channels_first(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def _geometric_steps(
    config: AugmentationConfig, shift: float, size_px: int | tuple[int, int] | None
) -> list[A.BasicTransform]:
    moves = A.Affine(
        rotate=(-config.rotation_deg, config.rotation_deg),
        scale=(1 - config.scale, 1 + config.scale),
        translate_percent=(-shift, shift),
        rotate_method="ellipse",  # nodes are rounder than their boxes
        interpolation=cv2.INTER_LINEAR,
        p=1.0 if config.rotation_deg or config.scale or shift else 0.0,
    )
    steps = [A.HorizontalFlip(p=config.mirror), A.VerticalFlip(p=config.flip_vertical), moves]
    if size_px is None:
        return steps
    height, width = (size_px, size_px) if isinstance(size_px, int) else size_px
    return [*steps, A.CenterCrop(height, width)]


def _photometric_steps(config: AugmentationConfig) -> list[A.BasicTransform]:
    return [
        A.RandomBrightnessContrast(
            brightness_limit=config.brightness,
            contrast_limit=config.contrast,
            p=1.0 if config.brightness or config.contrast else 0.0,
        ),
        A.GaussNoise(std_range=(0.0, config.noise_sd), p=0.5 if config.noise_sd else 0.0),
    ]
