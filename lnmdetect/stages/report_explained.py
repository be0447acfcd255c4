"""Where a model looks, as a part of the report: the checks of its heat and a few pictures."""

from collections.abc import Mapping
from pathlib import Path

from lnmdetect.io.explain_folder import ExplainedFolder, heat_picture_uri, read_explained
from lnmdetect.io.report_view import FigureTable, Picture, Section
from lnmdetect.metrics.figure import Figure
from lnmdetect.stages.evaluation_result import EvalInfo
from lnmdetect.stages.report_tables import figure_row

PICTURES = 6
"""With the slices the page stays small enough to send."""
CHECK_NAMES: Mapping[str, str] = {
    "share_inside": "Share of the heat inside the node",
    "area_share": "Share of the crop inside the node",
    "share_above_area": "Heat above area",
    "drop_hottest": "Fall of the answer without the hottest region",
    "drop_random": "Fall without as much elsewhere",
    "drop_above_random": "Hottest above elsewhere",
}


def explained_section(folder: Path, info: EvalInfo) -> Section:
    """Return the part of the page about an `explain` folder.

    Args:
        folder: with explain.json and its pictures.
        info: of the evaluation; heat of a file that it does not score is told to be so.

    Raises:
        InputError: the folder cannot be used.
    """
    found = read_explained(folder)
    rows = tuple(
        figure_row(name, Figure(**found.checks[check])) for check, name in CHECK_NAMES.items()
    )
    return Section(
        "explained",
        "Where the model looks",
        f"{found.model}, {found.method}: the heat is held against the node it should lie on, and "
        "against what the answer loses without the hottest places.",
        figures=(FigureTable("Checks of the heat, means over boxes", rows),),
        notes=(*found.sentences, *_of_another_file(found, info)),
        pictures=tuple(
            Picture(heat_picture_uri(folder, name), f"Heat over the crop and the slice, {name}")
            for name in found.pictures[:PICTURES]
        ),
    )


def _of_another_file(found: ExplainedFolder, info: EvalInfo) -> list[str]:
    stamps = (*info.truth, *info.detections_of, *info.classes_of, *info.truth_boxes_of)
    if found.nodes_sha256 in {stamp.sha256 for stamp in stamps}:
        return []
    return ["The heat is of the boxes of another file than those scored on this page."]
