"""The voxel threshold, chosen on scans whose maps are known."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("monai", reason="the extra `segmentation` is not installed")

from lnmdetect.core.progress import SILENT
from lnmdetect.core.records import BENIGN, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.stages import segmenter_threshold
from lnmdetect.stages.segmenter_threshold import choose_voxel_threshold

SIDE = 10
# P(node) by class of ten columns; truth of the scans `a` and `b` is the first four, `c` has none.
FIRST, SECOND = (
    np.array([0.6, 0.3, 0.2, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0]),
    np.array([0.3, 0.3, 0.3, 0.1, 0.3, 0.0, 0.0, 0.0, 0.0, 0.0]),
)  # sums 0.9, 0.6, 0.5, 0.4, 0.4


def images() -> tuple[ImageRecord, ...]:
    return tuple(
        ImageRecord(
            3 * s + z + 1, f"{n}{z}.dcm", SIDE, SIDE, n, n, f"1.{s}.{z}", z, 2.0 * z, (1, 1)
        )
        for s, n in enumerate("abc")
        for z in range(2)
    )


def truth() -> CocoDataset:
    # Four whole columns down, then the rest outside.
    mask = {"size": [SIDE, SIDE], "counts": [0, 4 * SIDE, 6 * SIDE]}
    nodes = tuple(
        NodeAnnotation(i, image.image_id, BENIGN, (0.0, 0.0, 4.0, 10.0), segmentation=mask)
        for i, image in enumerate(images(), start=1)
        if image.series != "c"
    )
    return CocoDataset({"coverage": "all_slices"}, images(), nodes)


def test_the_threshold_has_the_best_mean_dice_of_scans_with_nodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def maps(
        scan: Sequence[ImageRecord], read: Any, segmenter: Any
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        for index in range(len(scan)):
            own = np.stack([np.tile(row, (SIDE, 1)) for row in (FIRST, SECOND)])
            # Nothing is found in the second scan above 0.2, whatever the threshold.
            yield index, (own if scan[0].series != "b" else own / 6).astype(np.float32)

    monkeypatch.setattr(segmenter_threshold, "slice_maps", maps)
    threshold, figures = choose_voxel_threshold(truth(), None, None, SILENT)  # type: ignore[arg-type]
    # Scan a: from 0.45 to 0.5 three of four columns and none besides, 2 * 3 / (3 + 4) = 0.857; up
    # to 0.4 four and one, 8 / 9. Scan b, a sixth of it: at 0.1 two of four, 4 / 6; above, at most
    # one, 2 / 5.
    assert threshold.value == 0.1
    assert figures["dice_per_scan_at_threshold"] == pytest.approx((8 / 9 + 4 / 6) / 2, abs=1e-4)
    assert figures["validation_scans"] == 2
    assert threshold.rule == "highest mean Dice of whole scans, all classes merged"
