"""Which published weights a network may start from; `io.imagenet` fetches them."""

from dataclasses import dataclass
from typing import Literal

LEFT_RANDOM = "attention"
"""In the names of submodules that published networks do not have."""


@dataclass(frozen=True)
class Pretrained:
    """ImageNet weights as a library publishes them.

    Attributes:
        library: whose loading code reads them.
        name: the library's: of a model in timm, of an enum's member in torchvision.
        head: where the library keeps the last layer, whose 1000 classes are not ours.
        body: submodule of ours that has the library's names; empty for the whole network.
        gives_maps: whether the names are those of timm's `features_only` form.
    """

    library: Literal["timm", "torchvision"]
    name: str
    head: str
    body: str = ""
    gives_maps: bool = False
