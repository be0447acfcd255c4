"""What segments.json says of its model and of the thresholds that were applied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnmdetect import __version__
from lnmdetect.core.node_classes import ONE
from lnmdetect.core.patient_digests import PatientDigests, chosen_on, trained_on
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.core.thresholds import Threshold
from lnmdetect.io.bundles import Bundle

EVERY_NODE = "every node of the mask"


@dataclass(frozen=True)
class Applied:
    """A threshold that was applied, and where it came from; `patients` None: not told."""

    value: float
    source: str
    patients: PatientDigests | None = None


def applied_to_voxels(bundle: Bundle, asked: float | None) -> Applied:
    """Return the threshold on P(node) of a voxel: what is asked for, else the bundle's."""
    return _of(bundle, bundle.threshold) if asked is None else Applied(asked, "--threshold")


def applied_to_nodes(bundle: Bundle, asked: float | None, *, at_other_voxels: bool) -> Applied:
    """Return the threshold on a node's score.

    Args:
        bundle: gives its own, which was chosen at its threshold on voxels.
        asked: goes before it.
        at_other_voxels: whether another threshold on voxels is applied; then each node counts.
    """
    if asked is not None:
        return Applied(asked, "--node-threshold")
    if bundle.node_threshold is None or at_other_voxels:
        return Applied(0.0, EVERY_NODE)
    return _of(bundle, bundle.node_threshold)


def _of(bundle: Bundle, threshold: Threshold) -> Applied:
    source = f"bundle {bundle.name}: {threshold.described}"
    return Applied(threshold.value, source, threshold.patients)


def segment_info(
    bundle: Bundle, voxels: Applied, nodes: Applied, place: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `info` of segments.json.

    Args:
        bundle: of the segmenter.
        voxels: threshold on P(node) of a voxel.
        nodes: threshold on a node's score.
        place: where the pixels are, or that the uids are keyed.
    """
    assert isinstance(bundle.recipe, SegmenterRecipe)
    tells_classes = bundle.recipe.model.classes != ONE
    return {
        "description": "Masks of cervical lymph nodes. Research use only.",
        "lnmdetect_version": __version__,
        "segmenter": {
            "name": bundle.name,
            "sha256": bundle.sha256,
            "trained_on_phantoms": bundle.is_phantom,
        },
        "recipe": bundle.recipe.name,
        **place,
        **({"probabilities_of": "segmenter"} if tells_classes else {}),
        "voxel_threshold": voxels.value,
        "voxel_threshold_source": voxels.source,
        "operating_threshold": nodes.value,
        "operating_threshold_source": nodes.source,
        **trained_on("segmenter", bundle.trained_on),
        **chosen_on("voxel_threshold", voxels.patients),
        **chosen_on("operating_threshold", nodes.patients),
    }
