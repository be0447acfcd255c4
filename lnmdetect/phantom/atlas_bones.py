"""Vertebrae, jaws, girdle: key levels in mm (see shapes). Cortex is painted first, marrow on it."""

from lnmdetect.phantom.shapes import Blob, Ribbon, Shape, Tube

VERTEBRA_MM = 17.0
C3_CENTRE_MM = 19.0
DENS_LEVELS = (46.0, 70.0)


def _body(z: float, name: str, wide: float) -> list[Shape]:
    rows = [
        (z - 7.0, 0.0, 0.0, wide + 1.5, 9.5),
        (z, 0.0, 0.0, wide, 8.7),
        (z + 7.0, 0.0, 0.0, wide + 1.0, 9.0),
    ]
    inner = [
        (a + (0.8 if a < z else -0.8 if a > z else 0), x, y, rx - 1.6, ry - 1.6)
        for a, x, y, rx, ry in rows
    ]
    return [
        Blob(name, "cortex", rows, paired=False, taper_mm=0.8, wobble=0.04),
        Blob(name + "_marrow", "marrow", inner, paired=False, taper_mm=0.8, wobble=0.04),
    ]


def _arch(z: float, name: str, spine_mm: float, reach_mm: float) -> list[Shape]:
    """Pedicles, laminae, spinous and transverse processes, articular pillars around level z."""
    low, high = z - 8.0, z + 5.0
    spine = [(0, 28), (0, 30 + spine_mm * 0.5), (0, 30 + spine_mm)]
    lower_spine = [(0, 30), (0, 33 + spine_mm * 0.5), (0, 33 + spine_mm)]
    reach = [(12, 2), (12 + reach_mm * 0.5, 0), (12 + reach_mm, -2 + reach_mm * 0.45)]
    return [
        Ribbon(
            name + "_pedicle",
            "cortex",
            [(z - 2, 5, [(10, 4), (14, 8), (18, 11)]), (z + 5, 5, [(10, 4), (14, 8), (18, 11)])],
            taper_mm=2,
        ),
        Ribbon(
            name + "_lamina",
            "cortex",
            [
                (low - 2, 4, [(17, 15), (10, 24), (0.5, 30)]),
                (high - 3, 4.4, [(18, 13), (11, 22), (0.5, 27)]),
            ],
            taper_mm=3,
        ),
        Ribbon(
            name + "_lamina_marrow",
            "marrow",
            [
                (low, 1.3, [(15, 17), (10, 23.5), (4, 28)]),
                (high - 4, 1.5, [(15, 16), (11, 21.5), (4, 26)]),
            ],
            taper_mm=2,
        ),
        Ribbon(
            name + "_spine",
            "cortex",
            [(low - 5, 6, lower_spine), (high - 6, 4.5, spine)],
            paired=False,
            taper_mm=2.5,
        ),
        Ribbon(
            name + "_spine_marrow",
            "marrow",
            [(low - 3, 2.5, lower_spine), (high - 8, 1.8, spine)],
            paired=False,
            taper_mm=2,
        ),
        Ribbon(
            name + "_transverse", "cortex", [(z - 3, 5.5, reach), (z + 3.5, 5, reach)], taper_mm=2
        ),
        Blob(
            name + "_pillar",
            "cortex",
            [
                (z - 10, 19, 12.5, 6.5, 5, 20),
                (z, 18.5, 11, 6, 5.5, 10),
                (z + 7, 19, 9.5, 6.2, 4.5, 20),
            ],
            taper_mm=2.5,
        ),
        Blob(
            name + "_pillar_marrow",
            "marrow",
            [(z - 8, 19, 12.5, 4.4, 3, 20), (z + 5, 19, 10, 4, 3, 20)],
            taper_mm=2,
        ),
    ]


def _vertebrae() -> list[Shape]:
    shapes: list[Shape] = []
    for index in range(10):
        z = C3_CENTRE_MM - VERTEBRA_MM * index
        thoracic = max(0, index - 4)
        shapes += _body(z, "vertebra", 12.5 + 0.5 * index)
        shapes += _arch(z, "vertebra", 12 + 4.5 * min(index, 5), 10 if thoracic == 0 else 22)
        disc = [
            (z + 6.6, 0.0, 0.0, 13.0 + 0.4 * index, 9.2),
            (z + 10.2, 0.0, 0.0, 13.0 + 0.4 * index, 9.2),
        ]
        shapes.append(Blob("disc", "disc", disc, paired=False, taper_mm=0.4, wobble=0.03))
    return shapes


def _upper_vertebrae() -> list[Shape]:
    dens = [
        (DENS_LEVELS[0], 0.0, -1.0, 6.0, 6.0),
        (58.0, 0.0, -4.0, 5.2, 5.5),
        (DENS_LEVELS[1], 0.0, -5.0, 4.0, 4.5),
    ]
    return [
        *_body(36.0, "axis", 11.5),
        *_arch(37.0, "axis", 17, 8),
        Blob("axis_mass", "cortex", [(42, 15, 2, 8, 8), (50, 16, 2, 8.5, 8)], taper_mm=2),
        Blob("axis_mass_marrow", "marrow", [(43, 15, 2, 6, 6), (48.5, 16, 2, 6, 6)], taper_mm=2),
        Blob("dens", "cortex", dens, paired=False),
        Blob(
            "dens_marrow",
            "marrow",
            [(z, x, y, a - 1.7, b - 1.7) for z, x, y, a, b in dens],
            paired=False,
        ),
        Ribbon(
            "atlas_front",
            "cortex",
            [(55, 5, [(0, -13), (8, -11.5), (16, -4)]), (65, 5, [(0, -13), (8, -11.5), (16, -4)])],
            paired=False,
            across=True,
            taper_mm=3,
        ),
        Blob(
            "atlas_mass",
            "cortex",
            [(53, 19, 2, 8, 8.5, 20), (61, 20, 2, 8.5, 9, 20), (70, 19, 1, 7, 9, 30)],
            taper_mm=3,
        ),
        Blob(
            "atlas_mass_marrow",
            "marrow",
            [(55, 19, 2, 6, 6.5, 20), (68, 19, 1, 5, 7, 30)],
            taper_mm=3,
        ),
        Ribbon(
            "atlas_back",
            "cortex",
            [(57, 5, [(0, 34), (14, 29), (21, 12)]), (65, 5, [(0, 34), (14, 29), (21, 12)])],
            paired=False,
            across=True,
            taper_mm=3,
        ),
        Ribbon(
            "atlas_transverse",
            "cortex",
            [(57, 6, [(22, 2), (31, 3), (38, 5)]), (64, 5, [(22, 2), (31, 3), (37, 5)])],
            taper_mm=2.5,
        ),
        Blob("condyle", "cortex", [(68, 16, 0, 7, 9, 30), (80, 17, 4, 9, 10, 30)], taper_mm=3),
        Blob(
            "condyle_marrow",
            "marrow",
            [(70, 16, 0, 4.6, 6.6, 30), (79, 17, 4, 6, 7, 30)],
            taper_mm=3,
        ),
    ]


CANAL: tuple[Shape, ...] = (
    Blob(
        "canal_fat",
        "fat",
        [(-150, 0, 17, 11, 9.5), (20, 0, 17, 12, 9.5), (60, 0, 14, 13, 13), (76, 0, 20, 14, 15)],
        paired=False,
        wobble=0.03,
    ),
    Blob(
        "thecal_sac",
        "csf",
        [(-150, 0, 17, 9, 8), (20, 0, 17, 10, 8), (60, 0, 12, 11, 9), (78, 0, 18, 13, 13)],
        paired=False,
        wobble=0.03,
    ),
    Blob(
        "cord",
        "cord",
        [(-150, 0, 17, 5.5, 4.2), (20, 0, 17, 6.6, 4.4), (60, 0, 13, 6.4, 5.2), (80, 0, 16, 8, 8)],
        paired=False,
        wobble=0.03,
    ),
)

SPINE: tuple[Shape, ...] = (*_vertebrae(), *_upper_vertebrae())


def _jaw_line(shrink: float) -> list[tuple[float, float, list[tuple[float, float]]]]:
    rows = [
        (17.0, 9.0, [(0, -96), (13, -92), (24, -80), (33, -66)]),
        (26.0, 10.0, [(0, -98), (17, -92), (33, -72), (44, -42)]),
        (36.0, 10.0, [(0, -99), (18, -92), (36, -68), (49, -30)]),
        (47.0, 9.0, [(0, -98), (17, -91), (33, -70), (45, -44)]),
    ]
    if shrink == 0:
        return [(z, w, list(p)) for z, w, p in rows]
    return [
        (z + (1.8 if z < 20 else -1.0 if z > 45 else 0), w - shrink, list(p)) for z, w, p in rows
    ]


JAWS: tuple[Shape, ...] = (
    Ribbon("mandible", "cortex", _jaw_line(0), paired=False, across=True, taper_mm=4),
    Ribbon("mandible_marrow", "marrow", _jaw_line(4.4), paired=False, across=True, taper_mm=3),
    Ribbon(
        "ramus",
        "cortex",
        [
            (28, 7, [(43, -40), (47, -32), (50, -24)]),
            (48, 7.5, [(42, -58), (47, -42), (51, -24)]),
            (74, 6, [(45, -52), (48, -38), (51, -22)]),
            (84, 5, [(48, -30), (50, -25), (52, -19)]),
        ],
    ),
    Ribbon(
        "ramus_marrow",
        "marrow",
        [
            (32, 2.6, [(44, -38), (47, -32), (49, -26)]),
            (48, 3, [(43, -54), (47, -42), (50, -27)]),
            (72, 2, [(46, -48), (48, -38), (50, -26)]),
        ],
    ),
    Blob("coronoid", "cortex", [(68, 46, -52, 2.6, 6, -12), (86, 47, -50, 1.8, 3.5, -12)]),
    Blob(
        "mandibular_head",
        "cortex",
        [(80, 51, -19, 5, 4, 15), (90, 50, -18, 9.5, 4.5, 18), (95, 50, -18, 8, 4, 18)],
    ),
    Blob(
        "mandibular_head_marrow",
        "marrow",
        [(84, 51, -18.5, 3, 2.2, 15), (93, 50, -18, 6.5, 2.2, 18)],
    ),
    Ribbon(
        "maxilla",
        "cortex",
        [
            (56, 8, [(0, -99), (14, -93), (23, -77), (27, -58)]),
            (68, 9, [(0, -98), (14, -92), (24, -76), (28, -56)]),
        ],
        paired=False,
        across=True,
    ),
    Ribbon(
        "maxilla_marrow",
        "marrow",
        [
            (58, 4.2, [(0, -99), (14, -93), (23, -77), (27, -60)]),
            (66, 4.6, [(0, -98), (14, -92), (24, -76), (28, -58)]),
        ],
        paired=False,
        across=True,
    ),
    Blob(
        "hard_palate",
        "thin_bone",
        [(67, 0, -72, 19, 22), (71, 0, -72, 20, 23)],
        paired=False,
        taper_mm=1.5,
    ),
    Ribbon(
        "pterygoid_plate",
        "thin_bone",
        [(68, 2, [(17, -54), (20, -48), (24, -42)]), (94, 2.4, [(15, -54), (19, -48), (24, -42)])],
    ),
    Blob("styloid", "cortex", [(48, 36, -12, 1.3, 1.3), (76, 42, -2, 2.2, 2.2)]),
)

LOWER_TEETH = (
    (3.0, -98.5),
    (9.0, -96.5),
    (14.5, -92.5),
    (19.5, -87),
    (24, -80),
    (29, -72),
    (34, -62),
)
UPPER_TEETH = ((4.0, -99), (11.0, -96), (16.5, -90), (20, -84), (23, -77), (25, -68), (27, -58))


def teeth() -> tuple[Shape, ...]:
    """Return all teeth; a patient misses some of them."""
    shapes: list[Shape] = []
    for index, (x, y) in enumerate(LOWER_TEETH):
        size = 2.4 if index < 3 else 3.0 + 0.5 * (index - 3)
        shapes.append(
            Blob(
                "tooth",
                "tooth",
                [
                    (38, x * 0.97, y, size * 0.5, size * 0.6),
                    (47, x, y, size, size),
                    (55, x, y, size, size),
                ],
                taper_mm=2,
            )
        )
    for index, (x, y) in enumerate(UPPER_TEETH):
        size = 2.8 if index < 3 else 3.0 + 0.5 * (index - 3)
        shapes.append(
            Blob(
                "tooth",
                "tooth",
                [
                    (55.5, x, y, size, size),
                    (62, x, y, size, size),
                    (72, x * 0.97, y, size * 0.5, size * 0.6),
                ],
                taper_mm=2,
            )
        )
    return tuple(shapes)


GIRDLE: tuple[Shape, ...] = (
    Blob(
        "manubrium",
        "cortex",
        [(-150, 0, -72, 20, 7), (-112, 0, -60, 26, 8), (-99, 0, -53, 24, 7)],
        paired=False,
    ),
    Blob(
        "manubrium_marrow",
        "marrow",
        [(-150, 0, -72, 18, 4.6), (-112, 0, -60, 23.5, 5.4), (-101, 0, -53, 21, 4.6)],
        paired=False,
    ),
    Tube(
        "clavicle",
        "cortex",
        [
            (16, -55, -100, 9),
            (26, -56, -96, 8),
            (60, -52, -86, 6),
            (100, -34, -78, 6),
            (128, -12, -74, 6.5),
            (146, 0, -76, 6),
        ],
    ),
    Tube(
        "clavicle_marrow",
        "marrow",
        [
            (17, -55, -100, 6.6),
            (26, -56, -96, 5.6),
            (60, -52, -86, 3.4),
            (100, -34, -78, 3.2),
            (128, -12, -74, 4),
            (144, 0, -76, 4),
        ],
    ),
    Ribbon(
        "scapula_spine",
        "cortex",
        [
            (-118, 6, [(75, 72), (110, 62), (148, 38)]),
            (-90, 8, [(92, 56), (118, 46), (150, 22)]),
            (-78, 8, [(135, 30), (145, 22), (155, 10)]),
        ],
    ),
    Ribbon(
        "scapula_spine_marrow",
        "marrow",
        [
            (-116, 3, [(80, 71), (110, 62), (144, 40)]),
            (-90, 4, [(96, 55), (118, 46), (146, 25)]),
            (-80, 4, [(138, 27), (145, 22), (152, 13)]),
        ],
    ),
    Ribbon(
        "scapula_blade",
        "cortex",
        [(-150, 4, [(72, 74), (100, 66), (135, 40)]), (-112, 5, [(82, 66), (104, 56), (132, 34)])],
    ),
    Blob("coracoid", "cortex", [(-108, 130, -6, 6, 9, -20), (-94, 128, -8, 6, 9, -20)]),
    Blob(
        "humerus",
        "cortex",
        [
            (-150, 165, 2, 17, 17),
            (-110, 160, 4, 23, 24),
            (-90, 158, 6, 18, 19),
            (-84, 158, 6, 8, 9),
        ],
    ),
    Blob(
        "humerus_marrow",
        "marrow",
        [
            (-150, 165, 2, 13, 13),
            (-110, 160, 4, 21, 22),
            (-91, 158, 6, 16, 17),
            (-86, 158, 6, 7, 8),
        ],
    ),
    Tube(
        "rib_1",
        "cortex",
        [
            (30, 10, -80, 4.5),
            (46, 2, -83, 5),
            (54, -18, -90, 5),
            (46, -42, -100, 5),
            (26, -58, -108, 5),
        ],
    ),
    Tube(
        "rib_1_marrow",
        "marrow",
        [
            (30, 10, -80, 2.6),
            (46, 2, -83, 3),
            (54, -18, -90, 3),
            (46, -42, -100, 3),
            (26, -58, -108, 3),
        ],
    ),
    Tube(
        "rib_2",
        "cortex",
        [
            (30, 14, -97, 5),
            (58, 30, -98, 5),
            (78, 18, -106, 5),
            (82, -14, -122, 5),
            (60, -52, -140, 5),
        ],
    ),
    Tube(
        "rib_2_marrow",
        "marrow",
        [
            (30, 14, -97, 3),
            (58, 30, -98, 3),
            (78, 18, -106, 3),
            (82, -14, -122, 3),
            (60, -52, -140, 3),
        ],
    ),
    Tube(
        "rib_3",
        "cortex",
        [
            (30, 16, -114, 5),
            (62, 46, -114, 5),
            (94, 38, -122, 5),
            (104, 4, -138, 5),
            (96, -20, -150, 5),
        ],
    ),
    Tube(
        "rib_3_marrow",
        "marrow",
        [
            (30, 16, -114, 3),
            (62, 46, -114, 3),
            (94, 38, -122, 3),
            (104, 4, -138, 3),
            (96, -20, -150, 3),
        ],
    ),
)
