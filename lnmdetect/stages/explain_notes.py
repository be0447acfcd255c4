"""What the checks of a model's heat say in words, and what a reader of them must know."""

from collections.abc import Iterator, Mapping, Sequence

from lnmdetect.core.wording import counted
from lnmdetect.metrics.faithfulness import HOT_SHARE, Faithfulness
from lnmdetect.metrics.figure import Figure
from lnmdetect.models.class_activation import CELLS_MIN
from lnmdetect.stages.evaluation_info import FEW_PATIENTS
from lnmdetect.stages.explain_looks import Explained, Explainer


def findings_of(checks: Faithfulness, rows: Sequence[Explained]) -> Iterator[str]:
    """Give what the checks say, a plain sentence each."""
    share, area, above = checks.share_inside, checks.area_share, checks.share_above_area
    if not rows:
        yield "There is no box to explain."
        return
    if share.value is None or area.value is None or above.value is None:
        yield "Nothing can be said of the heat: no box has any that is positive."
        return
    where = "the nodes" if all(row.region == "mask" for row in rows) else "the nodes or boxes"
    held = f"{share.value:.0%} of it, where {where} fill {area.value:.0%} of the crops"
    if _is_below(above):
        yield f"The heat lies outside {where}: inside is {held}. The model looks elsewhere."
    elif _is_above(above):
        yield f"The heat lies inside {where} more than chance has it: {held}."
    else:
        yield f"The heat is not shown to lie inside {where} more than chance has it: {held}."
    yield _drop_sentence(checks)


def findings_by_call(checks: Mapping[str, Faithfulness]) -> Iterator[str]:
    """Give a sentence on the boxes of each call: the heat of one may hide behind another's."""
    for call, found in checks.items():
        share, area, above = found.share_inside, found.area_share, found.share_above_area
        if share.value is None or area.value is None or above.value is None:
            continue
        if _is_below(above):
            lies = "lies outside the node"
        elif _is_above(above):
            lies = "lies inside the node more than chance has it"
        else:
            lies = "is not shown to lie inside the node more than chance has it"
        yield (
            f"Boxes called {call}: the heat {lies}; {share.value:.0%} of it is inside, where the "
            f"node fills {area.value:.0%} of the crop."
        )


def _drop_sentence(checks: Faithfulness) -> str:
    hot, other = (figure.value or 0.0 for figure in (checks.drop_hottest, checks.drop_random))
    told = (
        f"without the hottest {HOT_SHARE:.0%} of the crop the answer falls by {hot:.3f}, "
        f"without as much elsewhere by {other:.3f}"
    )
    if _is_below(checks.drop_above_random):
        return f"The heat does not show what the model goes by: {told}."
    if _is_above(checks.drop_above_random):
        return f"The heat shows what the model goes by: {told}."
    return f"The heat is not shown to matter more than chance has it: {told}."


def _is_below(difference: Figure) -> bool:
    """Return whether a difference is shown to be negative: all of its interval is."""
    return difference.interval is not None and difference.interval[1] < 0


def _is_above(difference: Figure) -> bool:
    """Return whether a difference is shown to be positive: all of its interval is."""
    return difference.interval is not None and difference.interval[0] > 0


def heat_notes(
    explainer: Explainer, rows: Sequence[Explained], *, phantom: bool, unlisted: int = 0
) -> Iterator[str]:
    """Give what a reader of the checks must know.

    Args:
        explainer: whose heat it is.
        rows: the boxes explained.
        phantom: the scans are synthetic.
        unlisted: how many slices of the file truth does not list.
    """
    if phantom:
        yield "Phantom figures: the scans are synthetic and say nothing about patients."
    if unlisted:
        without = sum(not row.case.has_truth for row in rows)
        yield (
            f"Truth does not list {counted(unlisted, 'slice')}: "
            f"{counted(without, 'box', 'boxes')} there without mask and class."
        )
    yield from _map_notes(explainer)
    yield from _box_notes(rows)


def _map_notes(explainer: Explainer) -> Iterator[str]:
    """Give what the map that is shown can and cannot tell."""
    stage, last = explainer.stage, explainer.last
    if stage is not None and last is not None and stage != last:
        yield (
            f"The map is of {stage.layer}, stage {stage.number} of {stage.of} (a stage: maps of "
            f"one stride), the deepest with {CELLS_MIN} cells a side; --method gradcam, or cam "
            f"where the network allows it, reads the last, {last.layer} of "
            f"{last.cells[0]} x {last.cells[1]} cells."
        )
    if explainer.cells is not None and min(explainer.cells) < CELLS_MIN:
        height, width = explainer.cells
        yield (
            f"The map of {explainer.layer} has {height} x {width} cells on the whole crop: such "
            "heat tells no places apart within the node."
        )


def _box_notes(rows: Sequence[Explained]) -> Iterator[str]:
    """Give on how few patients, and on what of the boxes, the checks rest."""
    patients = len({row.case.image.patient for row in rows})
    if 1 < patients < FEW_PATIENTS:
        yield f"{patients} patients: intervals over so few are narrower than they should be."
    empty = sum(row.share_inside is None for row in rows)
    if empty:
        boxes = counted(empty, "box has", "boxes have")
        yield f"{boxes} no positive heat, and no part in the checks."
    boxed = sum(row.region == "box" for row in rows)
    if boxed:
        yield (
            f"For {counted(boxed, 'box', 'boxes')} without a mask in truth, inside means inside "
            "the box."
        )
