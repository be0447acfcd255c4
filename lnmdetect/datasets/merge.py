"""Several data sets as one."""

from collections.abc import Sequence
from dataclasses import replace

from lnmdetect.core.records import CocoDataset, ImageRecord, NodeAnnotation


def merge_datasets(parts: Sequence[CocoDataset], scan_root: str) -> CocoDataset:
    """Return one data set with new ids; `info` is the first part's with another scan root.

    Patients keep their pseudonyms: the same pseudonym in two parts is the same patient.

    Args:
        parts: at least one, all or none of them phantoms.
        scan_root: below which the pixels of all parts lie.

    Raises:
        ValueError: real scans and phantoms are mixed, or a slice occurs twice.
    """
    if len({part.is_phantom for part in parts}) != 1:
        raise ValueError("parts: expected all or none of them phantoms, got both kinds")
    images: list[ImageRecord] = []
    annotations: list[NodeAnnotation] = []
    for part in parts:
        new_ids = {image.image_id: len(images) + i for i, image in enumerate(part.images, start=1)}
        images += [image.with_id(new_ids[image.image_id]) for image in part.images]
        first_id = len(annotations) + 1
        annotations += [
            replace(node, annotation_id=first_id + i, image_id=new_ids[node.image_id])
            for i, node in enumerate(part.annotations)
        ]
    info = {**parts[0].info, "scan_root": scan_root}
    return CocoDataset(info, tuple(images), tuple(annotations))
