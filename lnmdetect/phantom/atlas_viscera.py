"""Pharynx, larynx, trachea, glands, oesophagus: key levels in mm (see shapes)."""

from lnmdetect.phantom.shapes import Blob, Ribbon, Shape, Tube

SOFT: tuple[Shape, ...] = (
    Blob(
        "tongue",
        "tongue",
        [
            (14, 0, -50, 15, 9),
            (26, 0, -56, 21, 17),
            (40, 0, -66, 25, 25),
            (54, 0, -72, 24, 26),
            (66, 0, -76, 17, 18),
        ],
        paired=False,
        taper_mm=8,
    ),
    Blob("lip_floor", "thin_muscle", [(22, 0, -96, 14, 5), (40, 0, -102, 16, 4)], paired=False),
    Blob(
        "pharynx_wall",
        "mucosa",
        [
            (-2, 0, -29, 19, 11),
            (14, 0, -29, 18, 11),
            (35, 0, -30, 18, 12),
            (55, 0, -31, 18, 13),
            (75, 0, -32, 18, 12),
            (98, 0, -34, 14, 9),
        ],
        paired=False,
    ),
    Blob(
        "larynx_soft",
        "mucosa",
        [
            (-50, 0, -34, 13, 14),
            (-40, 0, -36, 15, 15),
            (-22, 0, -40, 18, 17),
            (-6, 0, -38, 20, 17),
            (8, 0, -38, 20, 12),
        ],
        paired=False,
        taper_mm=3,
    ),
    Blob(
        "preepiglottic_fat",
        "fat",
        [(-14, 0, -48, 6, 3), (0, 0, -48, 9, 5), (10, 0, -47, 8, 4)],
        paired=False,
    ),
    Blob("paraglottic_fat", "fat", [(-20, 11.5, -40, 1.4, 6, -20), (-4, 13, -40, 2.2, 7, -20)]),
    Blob(
        "tracheal_wall",
        "mucosa",
        [
            (-150, 3, -30, 11, 11),
            (-95, 1, -33, 10.8, 11.3),
            (-48, 0, -35, 10.8, 11.4),
        ],
        paired=False,
        wobble=0.02,
    ),
    Blob(
        "oesophagus",
        "oesophagus",
        [
            (-150, 5, -16, 9, 7),
            (-90, 4, -17, 8, 6),
            (-55, 2.5, -18, 8, 5.5),
            (-38, 0, -18, 9, 4),
        ],
        paired=False,
    ),
    Blob(
        "thyroid_lobe",
        "thyroid",
        [
            (-80, 16, -32, 6, 8),
            (-62, 17, -34, 9, 12, 8),
            (-48, 18, -35, 9.5, 13, 8),
            (-34, 19.5, -34, 6.5, 10, 8),
            (-22, 20.5, -32, 3.5, 6),
        ],
        taper_mm=7,
        wobble=0.08,
    ),
    Ribbon(
        "isthmus",
        "thyroid",
        [
            (-66, 3.5, [(0, -47), (8, -46), (15, -41)]),
            (-52, 4.5, [(0, -48), (8, -47), (15, -42)]),
        ],
        paired=False,
        across=True,
    ),
    Blob(
        "submandibular_gland",
        "submandibular",
        [
            (4, 28, -42, 5, 7),
            (14, 32, -46, 9, 12, 20),
            (24, 33, -45, 9.5, 14, 20),
            (36, 32, -42, 6, 8),
        ],
        wobble=0.1,
    ),
    Blob(
        "sublingual_gland",
        "submandibular",
        [(28, 17, -80, 4, 9, 25), (42, 19, -78, 4, 9, 25)],
        wobble=0.1,
    ),
    Blob(
        "parotid_gland",
        "parotid",
        [
            (24, 54, -12, 5, 8),
            (40, 57, -10, 9, 15, -12),
            (60, 59, -12, 10, 19, -12),
            (80, 62, -14, 7, 15),
            (90, 64, -14, 3, 8),
        ],
        wobble=0.1,
    ),
    Ribbon(
        "parotid_deep",
        "parotid",
        [(42, 7, [(42, -6), (48, -7), (54, -8)]), (72, 8, [(40, -6), (48, -7), (56, -8)])],
    ),
    Blob(
        "palatine_tonsil",
        "tonsil",
        [(32, 15, -35, 4, 6), (45, 15, -36, 5.5, 8), (58, 14, -37, 4, 6)],
        wobble=0.1,
    ),
    Blob("lingual_tonsil", "tonsil", [(14, 6, -44, 6, 3), (28, 7, -44, 6.5, 3.5)], wobble=0.12),
    Blob(
        "soft_palate",
        "mucosa",
        [(54, 0, -40, 7, 4), (64, 0, -46, 16, 6), (72, 0, -54, 18, 7)],
        paired=False,
    ),
    Blob("adenoid", "tonsil", [(78, 0, -24, 11, 4), (94, 0, -25, 10, 4)], paired=False),
    Blob("torus", "mucosa", [(80, 13, -32, 4, 5), (94, 13, -33, 4, 5)]),
)

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

GLAND_EXTRAS: tuple[Shape, ...] = (
    Blob(
        "thyroid_nodule",
        "thyroid_nodule",
        [(-58, 18, -35, 5, 6), (-50, 18, -35, 5.5, 6)],
        taper_mm=5,
    ),
    Blob("thymus", "thin_muscle", [(-150, 6, -66, 9, 6), (-105, 4, -56, 6, 4)], wobble=0.15),
    Tube("parotid_duct", "mucosa", [(56, -36, 62, 1.5), (56, -56, 62, 1.5), (46, -74, 60, 1.4)]),
)
