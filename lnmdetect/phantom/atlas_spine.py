"""Vertebrae and canal: key levels in mm (see shapes). Marrow is painted on its cortex."""

from lnmdetect.phantom.shapes import Blob, Ribbon, Shape

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
        *_sides(z, name, reach_mm),
    ]


def _sides(z: float, name: str, reach_mm: float) -> list[Shape]:
    """Transverse process and articular pillar around level z."""
    reach = [(12, 2), (12 + reach_mm * 0.5, 0), (12 + reach_mm, -2 + reach_mm * 0.45)]
    return [
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
        *_first_vertebra(),
    ]


def _first_vertebra() -> list[Shape]:
    return [
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
