"""One place for the colours of nodes, which colour-blind readers tell apart."""

from itertools import combinations

import numpy as np
import pytest

from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, NodeAnnotation
from lnmdetect.io.node_colours import EXTRANODAL_LOOK, LOOKS, look_of, looks_of

DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
"""Of linear RGB (Machado et al. 2009, severity 1)."""


def node(category: int, kind: str | None = None) -> NodeAnnotation:
    return NodeAnnotation(1, 1, category, (0, 0, 4, 4), kind=kind)


def test_extranodal_extension_has_its_own_look_and_other_kinds_that_of_their_category() -> None:
    assert look_of(node(METASTATIC, "extranodal")) is EXTRANODAL_LOOK
    assert look_of(node(METASTATIC, "cystic")) is LOOKS[METASTATIC]
    assert look_of(node(BENIGN, "extranodal")) is LOOKS[BENIGN]
    assert look_of(node(LYMPH_NODE)) is LOOKS[LYMPH_NODE]


def test_a_legend_has_each_class_once_and_in_order() -> None:
    nodes = [node(METASTATIC, "extranodal"), node(METASTATIC), node(BENIGN), node(METASTATIC)]
    names = [look.name for look in looks_of(nodes)]
    assert names == ["benign", "metastatic", "metastatic, extranodal extension"]


def seen(colour: tuple[int, int, int], cones: np.ndarray) -> np.ndarray:
    """A colour in CIE L*a*b*, as eyes with these cones see it."""
    linear = (np.array(colour) / 255) ** 2.2
    to_xyz = np.array([[0.412, 0.358, 0.180], [0.213, 0.715, 0.072], [0.019, 0.119, 0.950]])
    xyz = to_xyz @ np.clip(cones @ linear, 0, 1) / [0.950, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("cones", [np.eye(3), DEUTERANOPIA], ids=["all cones", "no green cones"])
def test_the_colours_are_far_apart_and_lighter_than_tissue(cones: np.ndarray) -> None:
    colours = [seen(look.rgb, cones) for look in (*LOOKS.values(), EXTRANODAL_LOOK)]
    for one, other in combinations(colours, 2):
        assert np.linalg.norm(one - other) > 20  # ten times what is just told apart
    assert min(colour[0] for colour in colours) > 55
