"""One patient drawn from a seed: which structures, how varied, how enhanced."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from lnmdetect.phantom.anatomy import Anatomy, LabelBook, Structure, build_structures
from lnmdetect.phantom.atlas_airway import AIRWAYS, CARTILAGE, IN_AIRWAY, LUNGS, tracheal_rings
from lnmdetect.phantom.atlas_brain import BRAIN_PARTS
from lnmdetect.phantom.atlas_girdle import GIRDLE
from lnmdetect.phantom.atlas_head import EARS, FACE_AIR, FACE_BONE, FACE_SOFT, IN_FACE_AIR
from lnmdetect.phantom.atlas_jaws import JAWS, teeth
from lnmdetect.phantom.atlas_muscles import NECK_MUSCLES
from lnmdetect.phantom.atlas_muscles_face import FACE_MUSCLES, SHOULDER_MUSCLES
from lnmdetect.phantom.atlas_spine import CANAL, SPINE
from lnmdetect.phantom.atlas_surface import BODY, CRANIUM
from lnmdetect.phantom.atlas_vessels import CALCIFICATION, CHEST_VESSELS, VESSELS
from lnmdetect.phantom.atlas_viscera import GLAND_EXTRAS, SOFT
from lnmdetect.phantom.deformation import Deformation, draw_deformation
from lnmdetect.phantom.furniture import draw_furniture
from lnmdetect.phantom.shapes import Blob, Contours, Ribbon, Shape, Tube, outline_contours

LAYERS: Mapping[str, str] = MappingProxyType(
    {
        "fat": "fat",
        "skin": "skin",
        "cranium": "cortex",
        "diploe": "marrow",
        "cranium_inner": "cortex",
        "subdural": "csf",
        "brain": "brain",
    }
)
"""Tissues of what is painted from outlines."""
ALWAYS_THERE = frozenset(
    {"common_carotid", "internal_carotid", "internal_jugular", "subclavian_artery"}
)
"""Vessels that no patient lacks; any other is left out at random."""


def draw_anatomy(rng: np.random.Generator, amount: float, metal: int = 0) -> Anatomy:
    """Return a random patient; `amount` 1 varies as people do, 2 far wider.

    `metal` teeth are crowned.
    """
    book = LabelBook()
    labels = {name: book.label_of(name, tissue) for name, tissue in LAYERS.items()}
    deformation, body = draw_deformation(rng, amount), _body(rng, amount)
    inner = build_structures(_inner_shapes(rng, amount, metal), book, rng, amount)
    outer = build_structures(EARS, book, rng, amount)
    front_mm, back_mm = _reach(body, deformation)
    around = build_structures(draw_furniture(rng, back_mm, front_mm), book, rng, 0.3)
    return Anatomy(
        body=body,
        cranium=outline_contours(CRANIUM),
        around=tuple(around),
        inner=tuple(_asymmetric_veins(inner, rng)),
        outer=tuple(outer),
        deformation=deformation,
        skin_mm=float(rng.uniform(0.6, 1.3)),
        skull_mm=float(rng.uniform(4.5, 7.5)),
        fascia_mm=float(rng.uniform(0.0, 0.8)),
        tissues=tuple(book.tissues),
        labels=labels,
    )


def _inner_shapes(rng: np.random.Generator, amount: float, metal: int) -> list[Shape]:
    vessels = [v for v in VESSELS if v.name in ALWAYS_THERE or rng.random() < 0.8]
    shapes: list[Shape] = [*BRAIN_PARTS, *FACE_SOFT, *_built_muscles(rng, amount), *SOFT, *CANAL]
    shapes += [shape for shape in GLAND_EXTRAS if rng.random() < 0.5]
    shapes += [*LUNGS, *FACE_BONE, *JAWS, *SPINE, *GIRDLE]
    shapes += _kept_teeth(rng, metal)
    shapes += [*AIRWAYS, *CARTILAGE, *tracheal_rings(), *IN_AIRWAY, *FACE_AIR, *IN_FACE_AIR]
    shapes += [*_stray_tubes(rng, amount), *vessels, *CHEST_VESSELS]
    if rng.random() < 0.3:
        shapes += CALCIFICATION
    return shapes


def _built_muscles(rng: np.random.Generator, amount: float) -> list[Shape]:
    """Return the muscles, all of them stronger or weaker in one patient."""
    build = float(rng.uniform(1.08, 1.35 + 0.12 * amount))
    muscles = (*NECK_MUSCLES, *FACE_MUSCLES, *SHOULDER_MUSCLES)
    return [_thickened(shape, build) for shape in muscles]


def _thickened(shape: Shape, factor: float) -> Shape:
    if isinstance(shape, Blob):
        rows = [(*r[:3], r[3] * factor, r[4] * factor, *r[5:]) for r in shape.rows]
        return replace(shape, rows=rows)
    if isinstance(shape, Ribbon) and shape.tissue == "muscle":
        return replace(shape, rows=[(z, width * factor, line) for z, width, line in shape.rows])
    return shape


def _kept_teeth(rng: np.random.Generator, metal: int) -> list[Shape]:
    """Return the teeth a patient still has, `metal` of them crowned (one a side and place)."""
    kept = [tooth for tooth in teeth() if rng.random() < 0.9]
    crowned = set(rng.choice(len(kept), size=min(metal, len(kept)), replace=False).tolist())
    return [
        replace(tooth, name="crown", tissue="metal", paired=False) if index in crowned else tooth
        for index, tooth in enumerate(kept)
    ]


def _reach(body: Contours, deformation: Deformation) -> tuple[float, float]:
    """Return the least and greatest y of the skin, mm."""
    levels = body.z_low_mm + np.arange(0, len(body.points), 8)
    y = [deformation.in_plane(body.points[8 * k], float(z))[:, 1] for k, z in enumerate(levels)]
    return float(np.min(y)), float(np.max(y))


def _stray_tubes(rng: np.random.Generator, amount: float) -> list[Shape]:
    """Return unnamed small vessels and slips of muscle in the fat, each at its place and slant."""
    shapes: list[Shape] = []
    for index in range(int(rng.integers(8, 12 + round(8 * amount)))):
        radius = float(rng.uniform(0.7, 2.4))
        shapes.append(_stray_tube(f"stray_{index % 4}", "small_vessel", radius, rng))
    for index in range(int(rng.integers(1, 2 + round(5 * amount)))):
        radius = float(rng.uniform(1.5, 4.5))
        shapes.append(_stray_tube(f"slip_{index % 4}", "muscle", radius, rng))
    return shapes


def _stray_tube(name: str, tissue: str, radius_mm: float, rng: np.random.Generator) -> Tube:
    side = -1.0 if rng.random() < 0.5 else 1.0
    start = np.array([side * rng.uniform(14, 62), rng.uniform(-55, 40), rng.uniform(-95, 80)])
    step = np.array([rng.normal(0, 7), rng.normal(0, 7), rng.uniform(8, 26)])
    points = [start + step * k + rng.normal(0, 2.5, 3) for k in range(4)]
    ends = (0.6, 1.0, 1.0, 0.5)
    rows = [
        (float(p[0]), float(p[1]), float(p[2]), radius_mm * end)
        for p, end in zip(points, ends, strict=True)
    ]
    return Tube(name, tissue, rows, paired=False)


def _asymmetric_veins(structures: list[Structure], rng: np.random.Generator) -> list[Structure]:
    """Return the structures with each internal jugular vein widened or narrowed on its own."""
    changed = []
    for item in structures:
        if (
            item.name == "internal_jugular"
            and item.contours is not None
            and item.centres is not None
        ):
            factor = np.float32(np.clip(np.exp(rng.normal(0.0, 0.25)), 0.6, 1.5))
            middle = item.centres[:, None]
            points = (item.contours.points - middle) * factor + middle
            item = Structure(
                item.name,
                item.tissue,
                item.label,
                Contours(item.contours.z_low_mm, points),
                item.centres,
            )
        changed.append(item)
    return changed


def _body(rng: np.random.Generator, amount: float) -> Contours:
    """Return the skin's outline: the atlas, more or less fat, and soft folds."""
    base = outline_contours(BODY)
    points = base.points
    levels = base.z_low_mm + np.arange(len(points))
    tangent = np.roll(points, -1, axis=1) - np.roll(points, 1, axis=1)
    normal = np.stack([tangent[..., 1], -tangent[..., 0]], -1)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)
    outward = np.sign((normal * (points - points.mean(1, keepdims=True))).sum((1, 2)))[
        :, None, None
    ]
    neck = 1 / (1 + np.exp((levels - 85) / 14))
    fat = rng.normal(2.0, 3.5 * amount) * neck
    turn = np.linspace(0, 2 * np.pi, points.shape[1], endpoint=False)
    folds = np.zeros((len(points), points.shape[1]))
    for order in (3, 4, 5, 7, 9):
        wave = (
            order * turn[None] + 0.045 * levels[:, None] * rng.normal() + rng.uniform(0, 2 * np.pi)
        )
        folds += rng.normal(0, 1.6 * amount / order**0.5) * np.sin(wave)
    shift = fat[:, None] + folds * (0.25 + 0.75 * neck[:, None])
    return Contours(
        base.z_low_mm, (points + outward * normal * shift[..., None]).astype(np.float32)
    )
