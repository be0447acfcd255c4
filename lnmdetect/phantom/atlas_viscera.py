"""Tongue, pharynx, glands, oesophagus: key levels in mm (see shapes)."""

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
