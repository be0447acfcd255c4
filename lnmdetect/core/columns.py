"""A truth, boxes or nodes file as columns: what is evaluated, a million boxes at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.geometry import Boxes
from lnmdetect.core.records import Coverage

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
Values = Sequence[Any]
"""A column of a file, one JSON value a row, None where the row has none."""


@dataclass(frozen=True)
class ImageColumns:
    """I slices, in the order of the file.

    Attributes:
        ids: (I,) COCO ids, distinct.
        join_keys: SOP uid, else file name; distinct.
        file_names, sop_instance_uids: as the file has them; a uid may be empty.
        patients, series: pseudonym and series of each slice.
        sizes_px: (I, 2) width and height.
        spacing_mm: (I, 2) row and column spacing.
    """

    ids: Places
    join_keys: Sequence[str]
    file_names: Sequence[str]
    sop_instance_uids: Sequence[str]
    patients: Sequence[str]
    series: Sequence[str]
    sizes_px: Places
    spacing_mm: Numbers

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class NodeColumns:
    """A boxes, in the order of the file; NaN where a number is not given.

    Attributes:
        ids: (A,) annotation ids, distinct.
        image: (A,) place of the slice in `ImageColumns`.
        category: (A,) category id of lnmdetect.
        boxes_xyxy: (A, 4) px.
        score: (A,) the detector's, in [0, 1].
        ignored: (A,) neither hit nor miss.
        node_ids: name of the node in 3-D, or None.
        short_axis_mm: (A,) of the node in 3-D.
        p_benign, p_metastatic: (A,) in [0, 1]; NaN where the box was not classified.
        threshold: (A,) of the classifier, on P(metastatic).
        runs: run lengths of the mask (`counts` of COCO's RLE, of the size of the image), or None.
    """

    ids: Places
    image: Places
    category: Places
    boxes_xyxy: Boxes
    score: Numbers
    ignored: Flags
    node_ids: Values
    short_axis_mm: Numbers
    p_benign: Numbers
    p_metastatic: Numbers
    threshold: Numbers
    runs: Values

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class CocoColumns:
    """A whole file.

    Attributes:
        info: the file's `info` object.
        images, nodes: its records as columns.
        image_column, node_column: any other field of images or annotations by name, as `scanner` or
            `level`; a field of an image's `lnmdetect` block counts as one of the image. None where
            no record has it.
    """

    info: Mapping[str, Any]
    images: ImageColumns
    nodes: NodeColumns
    image_column: Callable[[str], Values | None]
    node_column: Callable[[str], Values | None]

    @property
    def coverage(self) -> Coverage:
        """Whether every slice of a scan is listed, or only key images."""
        return "key_images" if self.info.get("coverage") == "key_images" else "all_slices"

    @property
    def is_phantom(self) -> bool:
        """Whether the pixels are synthetic."""
        return bool(self.info.get("phantom", False))
