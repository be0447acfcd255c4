"""Tissues of the phantom: Hounsfield ranges, lifelike and for training, and texture strength."""

from dataclasses import dataclass
from types import MappingProxyType

Range = tuple[float, float]


@dataclass(frozen=True)
class Tissue:
    """How one tissue looks.

    Attributes:
        lifelike_hu: range drawn from on evaluation phantoms (design, section 7).
        training_hu: wider range for training phantoms.
        enhancement_hu: what full venous contrast adds; `lifelike_hu` is without it.
        grain_hu: deviation of the smooth texture.
        streak_hu: height of the thin texture (fat between fibres, septa in fat), signed.
    """

    lifelike_hu: Range
    training_hu: Range
    enhancement_hu: Range = (0.0, 0.0)
    grain_hu: float = 3.0
    streak_hu: float = 0.0


TISSUES = MappingProxyType(
    {
        "air": Tissue((-1010, -995), (-1020, -980), grain_hu=0),
        "skin": Tissue((0, 45), (-40, 80)),
        "fat": Tissue((-115, -85), (-130, -65), grain_hu=4, streak_hu=55),
        "muscle": Tissue((45, 58), (25, 75), (5, 17), grain_hu=4, streak_hu=-45),
        "thin_muscle": Tissue((30, 55), (10, 70), (5, 15), grain_hu=4),
        "tongue": Tissue((40, 60), (25, 75), (8, 25), grain_hu=8, streak_hu=-70),
        "mucosa": Tissue((35, 55), (25, 75), (20, 60), grain_hu=5),
        "tonsil": Tissue((40, 60), (25, 75), (25, 60), grain_hu=8),
        "parotid": Tissue((-40, 25), (-70, 60), (15, 40), grain_hu=14, streak_hu=-40),
        "submandibular": Tissue((40, 65), (15, 80), (25, 55), grain_hu=7, streak_hu=-35),
        "thyroid": Tissue((85, 120), (60, 140), (45, 95), grain_hu=8),
        "thyroid_nodule": Tissue((30, 110), (10, 150), (10, 110), grain_hu=10),
        "artery": Tissue((38, 50), (30, 60), (165, 280), grain_hu=4),
        "vein": Tissue((38, 50), (30, 60), (95, 205), grain_hu=9),
        "small_vessel": Tissue((35, 50), (25, 60), (80, 210), grain_hu=4),
        "oesophagus": Tissue((35, 50), (20, 65), (10, 40), grain_hu=6),
        "cartilage": Tissue((90, 220), (60, 420), grain_hu=60),
        "calcified_cartilage": Tissue((220, 520), (150, 750), grain_hu=110),
        "cortex": Tissue((850, 1300), (500, 1600), grain_hu=90),
        "thin_bone": Tissue((350, 700), (200, 1000), grain_hu=60),
        "marrow": Tissue((170, 380), (60, 550), grain_hu=70),
        "disc": Tissue((70, 110), (50, 140), grain_hu=8),
        "tooth": Tissue((1500, 2600), (1200, 3000), grain_hu=200),
        "metal": Tissue((3000, 3071), (2500, 3071), grain_hu=0),
        "csf": Tissue((5, 18), (0, 25), grain_hu=2),
        "cord": Tissue((35, 45), (25, 50), (0, 8), grain_hu=2),
        "brain": Tissue((30, 40), (22, 48), (0, 8), grain_hu=5, streak_hu=-14),
        "falx": Tissue((45, 65), (40, 80), (5, 60), grain_hu=3),
        "vitreous": Tissue((0, 15), (0, 20), grain_hu=2),
        "lens": Tissue((70, 110), (60, 130), grain_hu=4),
        "lung": Tissue((-880, -800), (-930, -700), grain_hu=30, streak_hu=170),
        "air_cells": Tissue((-900, -500), (-950, -200), grain_hu=330),
        "plastic": Tissue((-120, 140), (-400, 300), grain_hu=10),
        "foam": Tissue((-980, -900), (-990, -800), grain_hu=12),
        "carbon": Tissue((-500, -100), (-700, 100), grain_hu=20),
        "cloth": Tissue((-850, -400), (-900, -200), grain_hu=60),
        "wire": Tissue((800, 2500), (200, 3000), grain_hu=0),
    }
)
"""Base plus enhancement gives the ranges of design, section 7."""

LOOKALIKE_TISSUES = frozenset(
    {"artery", "vein", "small_vessel", "submandibular", "parotid", "thyroid", "thyroid_nodule"}
    | {"tonsil"}
)
"""Vessels and glands whose cross-sections can be taken for a node."""

HARD_TISSUES = LOOKALIKE_TISSUES | {
    *("air", "air_cells", "lung", "skin", "mucosa", "oesophagus", "cartilage"),
    *("calcified_cartilage", "cortex", "thin_bone", "marrow", "tooth", "metal"),
}
"""What a node may not lie in."""
