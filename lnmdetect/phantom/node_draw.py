"""Nodes drawn at random: sizes by kind, and the signs that tell the kinds apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from lnmdetect.phantom.nodes import Floats, Focus, Kind, Node

BELOW_10_MM: Mapping[Kind, float] = MappingProxyType(
    {"benign": 0.94, "metastatic": 0.475, "extranodal": 0.15}
)
"""Share with a short axis below 1 cm: 96, 45 and 13 % in Cancers 2023, Table 1."""

SMALL_MM: Mapping[Kind, tuple[float, float]] = MappingProxyType(
    {"benign": (4.4, 9.9), "metastatic": (3.9, 9.7), "extranodal": (7.0, 9.9)}
)
LARGE_SPREAD_MM: Mapping[Kind, float] = MappingProxyType(
    {"benign": 1.2, "metastatic": 3.2, "extranodal": 5.0}
)
"""Mean of what the short axis exceeds 10 mm by, where it does."""
LARGEST_SHORT_AXIS_MM = 26.0

UNENHANCED_HU = 42.0
FULL_ENHANCEMENT_HU: Mapping[Kind, tuple[float, float, float]] = MappingProxyType(
    {"benign": (74, 122, 142), "metastatic": (92, 104, 176), "extranodal": (92, 104, 176)}
)
"""(least, most common, greatest) HU of the solid part in the venous phase (design, section 7)."""


@dataclass(frozen=True)
class NodeWish:
    """A node before it has a place."""

    kind: Kind
    semi_axes_mm: Floats
    rotation: Floats


def draw_wish(kind: Kind, rng: np.random.Generator) -> NodeWish:
    """Return size, shape and direction of a node of `kind`."""
    if rng.random() < BELOW_10_MM[kind]:
        low, high = SMALL_MM[kind]
        short = low + (high - low) * (
            rng.beta(1.3, 1.4) if kind == "benign" else rng.beta(1.1, 1.5)
        )
    else:
        short = min(10.05 + rng.exponential(LARGE_SPREAD_MM[kind]), LARGEST_SHORT_AXIS_MM)
    length = np.exp(rng.normal(0.46 if kind == "benign" else 0.26, 0.17))
    middle = min(np.exp(abs(rng.normal(0, 0.14))), length)
    axes = short / 2 * np.array([max(length, 1.02), max(middle, 1.01), 1.0])
    return NodeWish(kind, axes, _mostly_upright(rng))


def _mostly_upright(rng: np.random.Generator) -> Floats:
    """Return a random rotation whose first axis leans towards z, as nodes along the vessels do."""
    first = rng.normal(0, 1, 3) * (0.8, 0.8, 1.3)
    second = rng.normal(0, 1, 3)
    first /= np.linalg.norm(first)
    second -= first * (second @ first)
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)])


def draw_node(
    wish: NodeWish, level: str, centre_mm: Floats, rng: np.random.Generator, phase: float
) -> Node:
    """Return the node with its signs; `phase` is the share of full venous contrast."""
    benign = wish.kind == "benign"
    full = rng.triangular(*FULL_ENHANCEMENT_HU[wish.kind])
    core = UNENHANCED_HU + rng.normal(0, 4) + phase * (full - UNENHANCED_HU)
    ambiguous = rng.random() < 0.05
    foci = () if ambiguous else _hilum(rng, phase) if benign else _malignant_foci(wish, rng)
    coarse = rng.uniform(12, 30) if not benign and not ambiguous else rng.uniform(2, 9)
    strength = 0.35 + 0.65 * min(phase, 1.0)
    edge = {"benign": 0.5, "metastatic": 0.7, "extranodal": 1.6}[wish.kind]
    return Node(
        kind=wish.kind,
        level=level,
        centre_mm=np.asarray(centre_mm, dtype=np.float64),
        semi_axes_mm=wish.semi_axes_mm,
        rotation=wish.rotation,
        lobes=_lobes(wish.kind, rng),
        core_hu=float(core),
        rim_hu=float((rng.normal(0, 9) if benign else rng.normal(8, 16)) * strength),
        slope_hu=float(rng.uniform(0, 45 if benign else 16) * strength),
        slope=_direction(rng),
        texture=_texture(rng, coarse * strength, benign),
        foci=foci,
        edge_mm=edge,
        halo_mm=float(
            rng.uniform(0.2, 1.6) if wish.kind != "extranodal" else rng.uniform(-0.5, 0.6)
        ),
        halo_hu=float(
            rng.uniform(-100, -70) if wish.kind != "extranodal" else rng.uniform(-70, -25)
        ),
    )


def _direction(rng: np.random.Generator) -> Floats:
    vector = rng.normal(0, 1, 3)
    return np.asarray(vector / np.linalg.norm(vector))


def _lobes(kind: Kind, rng: np.random.Generator) -> Floats:
    low, high, height = {
        "benign": (1.0, 2.2, 0.02),
        "metastatic": (2.6, 5.0, 0.05),
        "extranodal": (3.5, 8.0, 0.07),
    }[kind]
    count = 5
    vectors = rng.normal(0, 1, (count, 3))
    vectors *= (rng.uniform(low, high, count) / np.linalg.norm(vectors, axis=1))[:, None]
    heights = np.abs(rng.normal(0, height, count))
    return np.column_stack([vectors, rng.uniform(0, 2 * np.pi, count), heights])


def _texture(rng: np.random.Generator, height_hu: float, smooth: bool) -> Floats:
    count = 14
    length = rng.uniform(7, 15, count) if smooth else rng.uniform(2.8, 6.5, count)
    vectors = rng.normal(0, 1, (count, 3))
    vectors *= (2 * np.pi / length / np.linalg.norm(vectors, axis=1))[:, None]
    heights = np.full(count, height_hu * np.sqrt(2 / count))
    return np.column_stack([vectors, rng.uniform(0, 2 * np.pi, count), heights])


def _hilum(rng: np.random.Generator, phase: float) -> tuple[Focus, ...]:
    """Return a fatty hilum that opens to one side, and often its vessel; sometimes nothing."""
    if rng.random() > 0.88:
        return ()
    side = rng.uniform(0, 2 * np.pi)
    across = np.array([0.0, np.cos(side), np.sin(side)])
    depth, width = rng.uniform(0.25, 0.6), rng.uniform(0.2, 0.36)
    fat = Focus(
        across * depth,
        np.array([rng.uniform(0.5, 0.8), width, width]) + 0.18 * np.abs(across),
        float(rng.uniform(-75, 15)),
    )
    if rng.random() > 0.65:
        return (fat,)
    vessel = Focus(
        across * depth * 0.9,
        np.array([rng.uniform(0.3, 0.6), 0.13, 0.13]),
        float(50 + 190 * min(phase, 1.0)),
    )
    return (fat, vessel)


def _malignant_foci(wish: NodeWish, rng: np.random.Generator) -> tuple[Focus, ...]:
    foci: list[Focus] = []
    if rng.random() < 0.5:
        for _ in range(rng.integers(1, 4)):
            size = rng.uniform(0.22, 0.48)
            foci.append(
                Focus(
                    _direction(rng) * rng.uniform(0.25, 0.6),
                    size * rng.uniform(0.8, 1.25, 3),
                    float(rng.uniform(-5, 35)),
                )
            )
    if rng.random() < 0.25:
        for _ in range(rng.integers(2, 8)):
            size_mm = rng.uniform(0.35, 0.8)
            foci.append(
                Focus(
                    _direction(rng) * rng.uniform(0.1, 0.75),
                    size_mm / wish.semi_axes_mm,
                    float(rng.uniform(300, 700)),
                )
            )
    return tuple(foci)
