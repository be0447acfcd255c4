"""How a node is drawn by its class, in every picture on a dark slice."""

from dataclasses import dataclass

from lnmdetect.core.node_classes import EXTRANODAL, class_of
from lnmdetect.core.records import BENIGN, LYMPH_NODE, METASTATIC, NodeAnnotation


@dataclass(frozen=True)
class Look:
    """How nodes of a class are drawn, and what a legend calls them.

    Attributes:
        colour: as #rrggbb.
        line: width of an outline, as a multiple of the others'.
    """

    name: str
    colour: str
    line: float = 1.0

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour in bytes."""
        red, green, blue = bytes.fromhex(self.colour[1:])
        return red, green, blue


LOOKS = {
    BENIGN: Look("benign", "#56b4e9"),
    METASTATIC: Look("metastatic", "#ff6a3d"),
    LYMPH_NODE: Look("node, not classified", "#f0e442"),
}
"""By category; light enough on a dark slice, told apart by colour-blind readers (after Okabe and
Ito 2008)."""
EXTRANODAL_LOOK = Look("metastatic, extranodal extension", "#e98fc9", 1.7)
"""As light as the others; its wider line tells it from sky blue where red is not seen."""


def look_of(node: NodeAnnotation) -> Look:
    """Return how a node is drawn."""
    if class_of(node.category_id, node.kind) == EXTRANODAL:
        return EXTRANODAL_LOOK
    return LOOKS[node.category_id]


def looks_of(nodes: list[NodeAnnotation]) -> list[Look]:
    """Return the looks of some nodes, each once, in the order of a legend."""
    used = {look_of(node) for node in nodes}
    return [look for look in (*LOOKS.values(), EXTRANODAL_LOOK) if look in used]
