"""What lies around a patient in a scanner: couch, head holder, blankets, wires."""

import numpy as np

from lnmdetect.phantom.shapes import Blob, Ribbon, Shape, Tube

Z_RANGE_MM = (-170.0, 230.0)
Point = tuple[float, float]


def _along_z(
    name: str, tissue: str, width: float, line: list[Point], z: tuple[float, float] = Z_RANGE_MM
) -> Ribbon:
    rows = [(z[0], width, line), (z[1], width, line)]
    return Ribbon(name, tissue, rows, paired=False, taper_mm=0.5)


def _couch(rng: np.random.Generator, top_mm: float) -> list[Shape]:
    half, sag = rng.uniform(190, 270), rng.uniform(0, 45)
    curve = [(x * half, top_mm + sag * (1 - x * x) - sag) for x in (-1, -0.6, -0.2, 0.2, 0.6, 1)]
    depth = rng.uniform(18, 60)
    below = [(x * half, top_mm + depth * (1 - 0.7 * x * x)) for x in (-1, -0.6, -0.2, 0.2, 0.6, 1)]
    shapes: list[Shape] = [_along_z("couch_top", "carbon", rng.uniform(1.2, 4), curve)]
    if rng.random() < 0.5:
        middle = [(x, (y + curve[i][1]) / 2) for i, (x, y) in enumerate(below)]
        shapes.insert(0, _along_z("couch_core", "foam", depth * 0.7, middle))
    shapes.append(_along_z("couch_bottom", "carbon", rng.uniform(0.8, 3), below))
    for side in (-1.0, 1.0):
        rail = [
            (side * (half - 12), top_mm - 2),
            (side * (half - 5), top_mm),
            (side * half, top_mm - 6),
        ]
        shapes.append(_along_z("couch_rail", "plastic", rng.uniform(3, 8), rail))
    for _ in range(rng.integers(0, 5)):
        x, y = rng.uniform(-90, 90), top_mm + depth * rng.uniform(0.5, 1.1)
        size = rng.uniform(0.6, 1.8)
        shapes.append(
            Blob(
                "couch_rod",
                "wire",
                [(Z_RANGE_MM[0], x, y, size, size), (Z_RANGE_MM[1], x, y, size, size)],
                paired=False,
            )
        )
    return shapes


def _blocks(rng: np.random.Generator, top_mm: float) -> list[Shape]:
    shapes: list[Shape] = []
    for _ in range(rng.integers(0, 5)):
        low = rng.uniform(-120, 160)
        z = (low, low + rng.uniform(12, 120))
        x, width, height = rng.uniform(0, 95), rng.uniform(12, 50), rng.uniform(5, 15)
        y = top_mm - height / 2 - rng.uniform(0, 4)
        for side in (-1.0, 1.0) if x > 20 else (1.0,):
            middle = side * x
            line = [(middle - width / 2, y), (middle, y), (middle + width / 2, y)]
            shapes.append(_along_z("block", "plastic", height, line, z))
            for slot in range(rng.integers(0, 4)):
                at = middle - width / 2 + 4 + 5 * slot
                shapes.append(
                    _along_z(
                        "slot",
                        "air",
                        2.2,
                        [(at, y), (at, y + height / 4), (at, y + height / 2 + 1)],
                        z,
                    )
                )
    return shapes


def _head_holder(rng: np.random.Generator, back_mm: float) -> list[Shape]:
    reach, rise = rng.uniform(70, 110), rng.uniform(15, 80)
    line = [(x * reach, back_mm + 4 - rise * x * x) for x in (-1, -0.5, 0, 0.5, 1)]
    z = (float(rng.uniform(-30, 60)), 230.0)
    shapes: list[Shape] = []
    if rng.random() < 0.6:
        pad = [(x * 0.92, y - 4) for x, y in line]
        shapes.append(_along_z("holder_pad", "foam", rng.uniform(6, 18), pad, z))
    shapes.append(_along_z("holder", "plastic", rng.uniform(1.5, 5), line, z))
    return shapes


def _blanket(rng: np.random.Generator, front_mm: float) -> list[Shape]:
    shapes: list[Shape] = []
    for _ in range(rng.integers(1, 4)):
        rows = []
        top = float(rng.uniform(-70, 20))
        for z in np.linspace(-165, top, 6):
            spread = np.linspace(-230, 230, 9)
            height = front_mm - 8 - rng.uniform(0, 25) + 0.0014 * spread**2 + rng.normal(0, 6, 9)
            rows.append(
                (
                    float(z),
                    float(rng.uniform(0.8, 3)),
                    list(zip(spread.tolist(), height.tolist(), strict=True)),
                )
            )
        shapes.append(Ribbon("blanket", "cloth", rows, paired=False, taper_mm=1))
    return shapes


def _wires(rng: np.random.Generator, front_mm: float) -> list[Shape]:
    shapes: list[Shape] = []
    for _ in range(rng.integers(0, 4)):
        z = np.sort(rng.uniform(-160, 80, 4))[::-1]
        across = np.cumsum(rng.normal(0, 45, 4))
        height = front_mm - rng.uniform(2, 30, 4)
        radius = float(rng.uniform(0.5, 1.2))
        rows = [
            (float(a), float(b), float(c), radius)
            for a, b, c in zip(across, height, z, strict=True)
        ]
        shapes.append(Tube("wire", "wire", rows, paired=False))
    if rng.random() < 0.4:
        side, size = float(rng.uniform(-40, 40)), float(rng.uniform(2.5, 6))
        steps = ((0, 6, -140), (10, 18, -40), (-5, 30, 30), (-30, 45, 110))
        path = [(side + dx, front_mm - dy, float(z)) for dx, dy, z in steps]
        wall = [(x, y, z, size) for x, y, z in path]
        lumen = [(x, y, z, size * 0.65) for x, y, z in path]
        shapes.append(Tube("line_wall", "plastic", wall, paired=False))
        shapes.append(Tube("line_lumen", "air", lumen, paired=False))
    return shapes


def draw_furniture(rng: np.random.Generator, back_mm: float, front_mm: float) -> list[Shape]:
    """Return the shapes around a patient whose body reaches from `front_mm` to `back_mm` in y."""
    top = back_mm + float(rng.uniform(4, 28))
    shapes = _couch(rng, top)
    if rng.random() < 0.7:
        shapes += _blocks(rng, top)
    if rng.random() < 0.7:
        shapes += _head_holder(rng, back_mm)
    if rng.random() < 0.5:
        shapes += _blanket(rng, front_mm)
    if rng.random() < 0.5:
        shapes += _wires(rng, front_mm)
    return shapes
