"""Brain, its vessels and its fluid: key levels in mm (see shapes)."""

from lnmdetect.phantom.shapes import Blob, Ribbon, Shape, Tube

BRAIN_PARTS: tuple[Shape, ...] = (
    Ribbon(
        "falx",
        "falx",
        [
            (140, 1.4, [(0, -78), (0, -60), (0, -44)]),
            (170, 1.4, [(0, -84), (0, -30), (0, 84)]),
            (200, 1.6, [(0, -40), (0, 10), (0, 56)]),
        ],
        paired=False,
    ),
    Ribbon(
        "tentorium",
        "falx",
        [(110, 1.3, [(16, 30), (34, 24), (52, 28)]), (124, 1.3, [(4, 40), (18, 44), (34, 66)])],
    ),
    Blob(
        "sagittal_sinus",
        "vein",
        [(112, 0, 86, 4, 3), (140, 0, 88, 3.4, 3), (190, 0, 76, 3, 3)],
        paired=False,
    ),
    Tube(
        "transverse_sinus",
        "vein",
        [
            (3, 86, 112, 3.6),
            (34, 76, 108, 3.6),
            (54, 48, 102, 3.8),
            (50, 26, 92, 3.8),
            (36, 6, 80, 4.0),
        ],
    ),
    Blob(
        "lateral_ventricle",
        "csf",
        [(146, 12, 8, 4, 12), (160, 10, -2, 4.5, 30, 4), (172, 13, 2, 4, 26, 6)],
        wobble=0.1,
    ),
    Blob("temporal_horn", "csf", [(124, 32, -6, 1.6, 6), (132, 32, -6, 1.6, 6)]),
    Blob("third_ventricle", "csf", [(134, 0, -8, 1.8, 10), (150, 0, -8, 2, 10)], paired=False),
    Blob(
        "fourth_ventricle",
        "csf",
        [(96, 0, 28, 4, 3), (108, 0, 26, 6, 4), (118, 0, 24, 4, 3)],
        paired=False,
    ),
    Blob(
        "basal_cistern",
        "csf",
        [(112, 0, -20, 13, 6), (126, 0, -18, 13, 8)],
        paired=False,
        wobble=0.15,
    ),
    Blob("sylvian", "csf", [(130, 48, -14, 6, 2.4, 30), (150, 52, -8, 6, 1.6, 20)], wobble=0.2),
    Blob(
        "brainstem",
        "brain",
        [(78, 0, 12, 9, 8), (96, 0, 4, 13, 11), (116, 0, 0, 14, 12)],
        paired=False,
    ),
    Blob("basilar", "artery", [(88, 0, -9, 1.7, 1.7), (118, 0, -14, 1.7, 1.7)], paired=False),
    Tube(
        "middle_cerebral",
        "artery",
        [(8, -24, 122, 1.6), (26, -26, 124, 1.5), (44, -18, 130, 1.3), (52, -8, 140, 1.2)],
    ),
    Blob("cavernous", "vein", [(104, 12, -28, 4, 7), (116, 12, -28, 4, 7)]),
    Blob("choroid", "calcified_cartilage", [(150, 16, 22, 1.6, 2), (156, 16, 22, 1.6, 2)]),
)
