"""Airway, larynx and lungs: key levels in mm (see shapes)."""

from lnmdetect.phantom.shapes import Blob, Ribbon, Shape

AIRWAYS: tuple[Shape, ...] = (
    Blob(
        "nasopharynx",
        "air",
        [(64, 0, -34, 9, 4), (78, 0, -35, 12, 6), (96, 0, -38, 11, 6)],
        paired=False,
    ),
    Blob(
        "oropharynx",
        "air",
        [(8, 0, -32, 11, 5), (25, 0, -33, 11, 5), (45, 0, -34, 9, 5), (66, 0, -34, 9, 4)],
        paired=False,
    ),
    Blob("vallecula", "air", [(4, 6, -40, 4, 2.2), (14, 6, -40.5, 5, 2.6)], taper_mm=4),
    Blob(
        "piriform",
        "air",
        [(-16, 13, -30, 1.5, 2), (-6, 14, -31, 3, 4, 20), (8, 12, -32, 4, 4)],
        wobble=0.12,
    ),
    Blob(
        "vestibule",
        "air",
        [(-22, 0, -40, 2.2, 9), (-14, 0, -38, 5, 8), (-2, 0, -36, 8, 7), (10, 0, -34, 10, 6)],
        paired=False,
        taper_mm=1,
    ),
    Blob(
        "glottis",
        "air",
        [(-48, 0, -35, 8, 9), (-34, 0, -38, 7, 9), (-27, 0, -40, 4, 10), (-21, 0, -41, 2.2, 10)],
        paired=False,
        taper_mm=1,
    ),
    Blob(
        "trachea",
        "air",
        [(-150, 3, -31, 8.6, 8.6), (-95, 1, -34, 8.4, 8.8), (-44, 0, -36, 8.2, 9)],
        paired=False,
        taper_mm=1,
        wobble=0.03,
    ),
    Blob(
        "oesophageal_air",
        "air",
        [(-74, 3, -17.5, 1.4, 0.9), (-66, 3, -17.5, 2.0, 1.1)],
        paired=False,
    ),
)

IN_AIRWAY: tuple[Shape, ...] = (
    Ribbon(
        "epiglottis",
        "mucosa",
        [
            (-8, 2.4, [(0, -42), (4, -41), (7, -39)]),
            (6, 2.2, [(0, -39), (6, -38), (11, -34)]),
            (18, 2.0, [(0, -37), (5, -36.5), (9, -34)]),
        ],
        paired=False,
        across=True,
    ),
    Blob("uvula", "mucosa", [(46, 0, -35, 2.6, 2.6), (58, 0, -37, 3.6, 3.4)], paired=False),
    Ribbon(
        "median_fold",
        "mucosa",
        [(2, 1.8, [(0, -43), (0, -40), (0, -38)]), (13, 1.8, [(0, -43), (0, -41), (0, -38)])],
        paired=False,
    ),
    Ribbon(
        "aryepiglottic",
        "mucosa",
        [(-12, 3, [(7, -33), (7.5, -31), (6, -29)]), (2, 2.6, [(9, -37), (10, -34), (8, -31)])],
    ),
)

CARTILAGE: tuple[Shape, ...] = (
    Ribbon(
        "thyroid_cartilage",
        "calcified_cartilage",
        [
            (-36, 3.2, [(9, -54), (15, -44), (19, -33)]),
            (-20, 3.4, [(2, -59), (12, -48), (20, -30)]),
            (-6, 3.0, [(5, -57), (14, -46), (21, -28)]),
            (4, 2.4, [(17, -38), (20, -32), (22, -26)]),
        ],
    ),
    Ribbon(
        "cricoid_arch",
        "cartilage",
        [
            (-44, 3, [(0, -48), (9, -45), (12, -36)]),
            (-34, 3.2, [(0, -50), (10, -46), (13, -36)]),
        ],
        paired=False,
        across=True,
    ),
    Ribbon(
        "cricoid_lamina",
        "cartilage",
        [
            (-42, 3.5, [(0, -24), (7, -25), (12, -32)]),
            (-26, 4.5, [(0, -25), (7, -26), (12, -32)]),
        ],
        paired=False,
        across=True,
    ),
    Blob("arytenoid", "calcified_cartilage", [(-24, 6, -30, 2.2, 3), (-15, 6.5, -30, 1.6, 2.4)]),
    Ribbon(
        "hyoid_cortex",
        "cortex",
        [
            (-2, 4, [(0, -56), (12, -51), (22, -32)]),
            (8, 5, [(0, -58), (13, -52), (23, -31)]),
        ],
        paired=False,
        across=True,
        taper_mm=3,
    ),
    Ribbon(
        "hyoid_marrow",
        "marrow",
        [
            (-0.5, 1.6, [(0, -56), (12, -51), (21, -34)]),
            (6.5, 2.4, [(0, -58), (13, -52), (22, -33)]),
        ],
        paired=False,
        across=True,
        taper_mm=2,
    ),
)


def tracheal_rings() -> tuple[Shape, ...]:
    """Return the C-shaped tracheal cartilages, one every 5 mm."""
    rings = []
    for z in range(-140, -46, 5):
        line = [(0, -46.5), (7.5, -43), (10, -36), (7.5, -29)]
        rings.append(
            Ribbon(
                "tracheal_ring",
                "cartilage",
                [(z - 1.8, 1.8, line), (z + 1.8, 1.8, line)],
                paired=False,
                across=True,
                taper_mm=1.2,
            )
        )
    return tuple(rings)


LUNGS: tuple[Shape, ...] = (
    Blob(
        "lung",
        "lung",
        [
            (-150, 58, 10, 46, 52),
            (-115, 48, 10, 37, 40),
            (-96, 40, 10, 27, 29),
            (-82, 36, 10, 12, 14),
            (-78, 35, 10, 5, 6),
        ],
        taper_mm=2,
        wobble=0.03,
    ),
)
