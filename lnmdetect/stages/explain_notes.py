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
    if share.value is None or area.value is None or above.value is None:
        yield "Nothing can be said of the heat: no box has any that is positive."
        return
    where = "the nodes" if all(row.region == "mask" for row in rows) else "the nodes or boxes"
    held = f"{share.value:.0%} of it, where {where} fill {area.value:.0%} of the crops"
    if above.value <= 0:
        yield f"The heat lies outside {where}: inside is {held}. The model looks elsewhere."
    elif _may_be_none(above):
        yield f"The heat is not shown to lie inside {where} more than chance has it: {held}."
    else:
        yield f"The heat lies inside {where} more than chance has it: {held}."
    yield _drop_sentence(checks)


def findings_by_call(checks: Mapping[str, Faithfulness]) -> Iterator[str]:
    """Give a sentence on the boxes of each call: the heat of one may hide behind another's."""
    for call, found in checks.items():
        share, area, above = found.share_inside, found.area_share, found.share_above_area
        if share.value is None or area.value is None or above.value is None:
            continue
        if above.value <= 0:
            lies = "lies outside the node"
        elif _may_be_none(above):
            lies = "is not shown to lie inside the node more than chance has it"
        else:
            lies = "lies inside the node more than chance has it"
        yield (
            f"Boxes called {call}: the heat {lies}; {share.value:.0%} of it is inside, where the "
            f"node fills {area.value:.0%} of the crop."
        )


def _drop_sentence(checks: Faithfulness) -> str:
    hot, other, above = (
        figure.value or 0.0
        for figure in (checks.drop_hottest, checks.drop_random, checks.drop_above_random)
    )
    told = (
        f"without the hottest {HOT_SHARE:.0%} of the crop the answer falls by {hot:.3f}, "
        f"without as much elsewhere by {other:.3f}"
    )
    if above <= 0:
        return f"The heat does not show what the model goes by: {told}."
    if _may_be_none(checks.drop_above_random):
        return f"The heat is not shown to matter more than chance has it: {told}."
    return f"The heat shows what the model goes by: {told}."


def _may_be_none(difference: Figure) -> bool:
    """Return whether a positive difference may be 0: its interval reaches there, or is missing."""
    return difference.interval is None or difference.interval[0] <= 0


def heat_notes(explainer: Explainer, rows: Sequence[Explained], *, phantom: bool) -> Iterator[str]:
    """Give what a reader of the checks must know."""
    if phantom:
        yield "Phantom figures: the scans are synthetic and say nothing about patients."
    if explainer.cells is not None and min(explainer.cells) < CELLS_MIN:
        height, width = explainer.cells
        yield (
            f"The map of {explainer.layer} has {height} x {width} cells on the whole crop: such "
            "heat tells no places apart within the node."
        )
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
