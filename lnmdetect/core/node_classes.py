"""The classes of the segmentation arm, and which of them a truth annotation belongs to.

Three in Cancers 2023, 15, 5890: negative, positive, and positive with extranodal extension. They
may be told apart, or the two positive ones merged, or all three (the paper's three trainings).
"""

from collections.abc import Mapping

from lnmdetect.core.records import BENIGN, METASTATIC, NodeAnnotation

NEGATIVE, POSITIVE, EXTRANODAL = "negative", "positive", "extranodal_extension"
MERGED_POSITIVE, NODE = "metastatic", "node"

NodeClasses = tuple[str, ...]
THREE: NodeClasses = (NEGATIVE, POSITIVE, EXTRANODAL)
TWO: NodeClasses = (NEGATIVE, MERGED_POSITIVE)
ONE: NodeClasses = (NODE,)
CLASSES_BY_NAME: Mapping[str, NodeClasses] = {"three": THREE, "two": TWO, "one": ONE}
CLASS_SETS: tuple[NodeClasses, ...] = tuple(CLASSES_BY_NAME.values())
"""What a segmenter may be trained to tell apart; the label of a class is its place plus 1."""

EXTRANODAL_KIND = "extranodal"
"""`kind` of an annotation whose node has grown through its capsule."""


def node_class(annotation: NodeAnnotation) -> str | None:
    """Return the class of a node's annotation; None where its category leaves it open."""
    return class_of(annotation.category_id, annotation.kind)


def class_of(category_id: int, kind: str | None) -> str | None:
    """Return the class of a category and kind; None where the category leaves it open."""
    if category_id == BENIGN:
        return NEGATIVE
    if category_id == METASTATIC:
        return EXTRANODAL if kind == EXTRANODAL_KIND else POSITIVE
    return None


def label_of(annotation: NodeAnnotation, classes: NodeClasses) -> int | None:
    """Return the label from 1 of an annotation among `classes`; None where they do not hold it."""
    if classes == ONE:
        return 1
    name = node_class(annotation)
    if classes == TWO and name in (POSITIVE, EXTRANODAL):
        name = MERGED_POSITIVE
    return classes.index(name) + 1 if name in classes else None


def category_of(name: str) -> int | None:
    """Return the COCO category of a class; None for a node whose status is not asked."""
    if name == NODE:
        return None
    return BENIGN if name == NEGATIVE else METASTATIC
