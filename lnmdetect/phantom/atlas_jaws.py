"""Jaws and teeth: key levels in mm (see shapes). Marrow is painted on its cortex."""

from lnmdetect.phantom.shapes import Blob, Ribbon, Shape


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
