"""Data sets joined to one."""

import pytest

from lnmdetect.core.records import BENIGN, CocoDataset, ImageRecord, NodeAnnotation
from lnmdetect.datasets.merge import merge_datasets


def part(name: str, *, phantom: bool = True) -> CocoDataset:
    """Two slices of one patient, with one box on the first and two on the second."""
    images = tuple(
        ImageRecord(i, f"{name}{i}.dcm", 8, 8, name, name, f"{name}.{i}", i, 2.0 * i, (1.0, 1.0))
        for i in (1, 2)
    )
    boxes = tuple(
        NodeAnnotation(k, image, BENIGN, (k, 1, k + 2, 4), node_id=f"{name}n{k}")
        for k, image in ((1, 1), (2, 2), (3, 2))
    )
    return CocoDataset({"phantom": phantom, "scan_root": name}, images, boxes)


def test_ids_start_anew_and_boxes_stay_on_their_slices() -> None:
    merged = merge_datasets([part("a"), part("b")], "all")
    assert [image.image_id for image in merged.images] == [1, 2, 3, 4]
    assert [node.annotation_id for node in merged.annotations] == [1, 2, 3, 4, 5, 6]
    assert [node.image_id for node in merged.annotations] == [1, 2, 2, 3, 4, 4]
    assert [node.node_id for node in merged.annotations] == [
        "an1",
        "an2",
        "an3",
        "bn1",
        "bn2",
        "bn3",
    ]
    assert merged.info == {"phantom": True, "scan_root": "all"}
    assert merged.patients() == ("a", "b")


def test_phantoms_and_scans_do_not_mix() -> None:
    with pytest.raises(ValueError, match="all or none of them phantoms"):
        merge_datasets([part("a"), part("b", phantom=False)], "all")


def test_a_slice_in_two_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="distinct SOP uids"):
        merge_datasets([part("a"), part("a")], "all")
