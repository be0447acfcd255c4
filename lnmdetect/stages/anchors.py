"""`lnmdetect anchors`: anchors fitted to a truth file, with what they cover and what they miss."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lnmdetect.core.config import DetectorConfig, DetectorRecipe
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.geometry import Boxes, box_sizes
from lnmdetect.core.records import CocoDataset
from lnmdetect.io.coco import read_coco
from lnmdetect.io.json_files import refuse_existing, write_json
from lnmdetect.io.recipes import bundled_recipes, merged, read_recipe, write_recipe
from lnmdetect.models.anchors import (
    PAPER_ANCHORS,
    RATIOS,
    TORCHVISION_ANCHORS,
    AnchorSet,
    fit_anchors,
    fit_ratios,
    fit_shapes,
)
from lnmdetect.stages.anchor_coverage import (
    CoveredSet,
    MissedNode,
    NodesOnGrid,
    SetCoverage,
    cover,
    missed_nodes,
    nodes_on_grid,
    summarise,
)

KNOWN_ANCHORS = {"Wang 2023": PAPER_ANCHORS, "torchvision": TORCHVISION_ANCHORS}


@dataclass(frozen=True)
class AnchorRequest:
    """What to fit to, and how.

    Attributes:
        truth: COCO file with the node boxes; ignored ones (`iscrowd`) are left out.
        output: JSON to write; the picture and a recipe stand beside it as PNG and YAML.
        spacing_mm: in-plane spacing of the model's grid; None for the recipe's.
        recipe: detector recipe that says the spacing.
        own_ratios: whether ratios are fitted too, or stay 1:2, 1:1, 2:1.
        on_grid: whether anchors count only where the pyramid has them, or anywhere.
    """

    truth: Path
    output: Path = Path("anchors.json")
    spacing_mm: float | None = None
    recipe: str = "compact"
    own_ratios: bool = False
    on_grid: bool = True
    overwrite: bool = False


@dataclass(frozen=True)
class AnchorResult:
    """The fitted set, the table and the files.

    Attributes:
        recipe: a whole detector recipe that takes the fit: name, base and the fitted keys.
        recipe_file: where it is written.
        sets: fitted, the recipe's, Wang 2023, torchvision's default.
        missed: nodes that the fitted set does not reach on the grid, smallest first.
    """

    output: Path
    picture: Path
    recipe_file: Path
    recipe: Mapping[str, Any]
    sets: tuple[SetCoverage, ...]
    missed: tuple[MissedNode, ...]


def fit_anchors_stage(request: AnchorRequest) -> AnchorResult:
    """Return the fit of `request.truth`, written as JSON, PNG and YAML.

    Raises:
        UsageError: the output is not named .json.
        InputError: the file cannot be read or holds no node to fit to.
        OutputError: an output exists and `overwrite` is false, or cannot be written.
    """
    picture = _picture_beside(request.output)
    recipe_file = request.output.with_suffix(".yaml")
    for path in (request.output, picture, recipe_file):
        refuse_existing(path, overwrite=request.overwrite)
    dataset = read_coco(request.truth)
    recipe = _detector_recipe(request.recipe)
    spacing_mm = request.spacing_mm or recipe.input.spacing_mm
    nodes = nodes_on_grid(dataset, spacing_mm)
    _require_nodes(nodes, dataset, where=request.truth.name)
    fitted = _fit(nodes.boxes_px, request)
    rivals = {f"recipe {recipe.name}": _recipe_anchors(recipe.model)} | KNOWN_ANCHORS
    covered = [
        cover(name, anchors, nodes) for name, anchors in {"fitted": fitted, **rivals}.items()
    ]
    result = AnchorResult(
        output=request.output,
        picture=picture,
        recipe_file=recipe_file,
        recipe=_whole_recipe(
            request.recipe, recipe, _recipe_keys(fitted, spacing_mm, _shapes(recipe, nodes))
        ),
        sets=tuple(summarise(item, nodes) for item in covered),
        missed=missed_nodes(nodes, covered[0]),
    )
    _draw(nodes, covered, picture, title=_title(dataset, spacing_mm), overwrite=request.overwrite)
    write_json(_to_json(result), request.output, overwrite=request.overwrite)
    write_recipe(result.recipe, recipe_file, overwrite=request.overwrite)
    return result


def _picture_beside(output: Path) -> Path:
    if output.suffix != ".json":
        raise UsageError(
            "--output",
            expected="a name that ends in .json",
            got=repr(output.name),
            remedy="The picture is written beside it as .png.",
        )
    return output.with_suffix(".png")


def _detector_recipe(name: str) -> DetectorRecipe:
    recipe = read_recipe(name, "detector")
    assert isinstance(recipe, DetectorRecipe)
    return recipe


def _recipe_anchors(model: DetectorConfig) -> AnchorSet:
    return AnchorSet(tuple(math.sqrt(area) for area in model.anchor_areas_px2), model.anchor_ratios)


def _require_nodes(nodes: NodesOnGrid, dataset: CocoDataset, *, where: str) -> None:
    if not nodes.annotations:
        raise InputError(
            where,
            expected="annotations to fit anchors to",
            got=f"{len(dataset.annotations)} annotations, none that counts",
            remedy="Give a truth file with node boxes (iscrowd 0).",
        )


def _fit(boxes_px: Boxes, request: AnchorRequest) -> AnchorSet:
    ratios = fit_ratios(boxes_px) if request.own_ratios else RATIOS
    return fit_anchors(boxes_px, ratios=ratios, on_grid=request.on_grid)


def _recipe_keys(
    anchors: AnchorSet, spacing_mm: float | None, shapes: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    areas = [round(area, 1) for area in anchors.areas_px2]
    model = {"anchor_areas_px2": areas, "anchor_ratios": list(anchors.ratios), **shapes}
    return {"input": {"spacing_mm": spacing_mm}, "model": model}


def _shapes(recipe: DetectorRecipe, nodes: NodesOnGrid) -> dict[str, Any]:
    """Return the key with YOLOv3's nine shapes for a recipe of it, none for another."""
    if recipe.model.architecture != "yolov3":
        return {}
    return {"anchor_shapes_px": fit_shapes(nodes.boxes_px).round(1).tolist()}


def _whole_recipe(given: str, recipe: DetectorRecipe, keys: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fitted keys as a recipe of its own, on the recipe that was looked at."""
    name = f"{recipe.name}-anchors"
    if given in bundled_recipes("detector"):
        return {"name": name, "base": given, **keys}
    return merged(recipe.model_dump(mode="json"), {"name": name, **keys})


def _to_json(result: AnchorResult) -> dict[str, Any]:
    return {
        "recipe": result.recipe,
        "sets": [asdict(row) for row in result.sets],
        "missed": [asdict(node) for node in result.missed],
    }


def _title(dataset: CocoDataset, spacing_mm: float | None) -> str:
    grid = f"on {spacing_mm:g} mm pixels" if spacing_mm else "on the scans' own pixels"
    kind = "phantom nodes" if dataset.is_phantom else "nodes"
    return f"Anchors for {kind} {grid} · research only"


def _draw(
    nodes: NodesOnGrid,
    covered: Sequence[CoveredSet],
    picture: Path,
    *,
    title: str,
    overwrite: bool,
) -> None:
    from lnmdetect.io.figures_anchors import AnchorCurve, BoxShapes, plot_anchors

    sizes = box_sizes(nodes.boxes_px)
    shapes = BoxShapes(
        area_percent=100 * nodes.image_shares,
        aspect=sizes[:, 0] / sizes[:, 1],
        side_mm=nodes.short_sides_mm,
    )
    curves = [AnchorCurve(item.name, item.by_shape, item.on_grid) for item in covered]
    plot_anchors(shapes, curves, picture, title=title, overwrite=overwrite)
