"""How far a benchmark's row lies above chance, with its interval over patients."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lnmdetect.metrics.chance import on_other_patients
from lnmdetect.metrics.comparison import compare_detections
from lnmdetect.metrics.figure import Figure, undefined
from lnmdetect.stages.evaluation_inputs import read_predictions
from lnmdetect.stages.evaluation_truth import Truth

CHANCE = {
    "detector": "the same boxes laid on the slices of another patient",
    "classifier": "an AUC of 0.5",
}
"""What a row of each arm is held against."""
AUC_OF_CHANCE = 0.5


def over_chance(
    arm: str, truth: Truth, files: Sequence[Path], figures: Mapping[str, Figure]
) -> Mapping[str, Figure]:
    """Return a row's first figure less what chance gives, as `CHANCE` says.

    Args:
        arm: detector or classifier.
        truth: of the test patients.
        files: the row's boxes or nodes.
        figures: the row's, on `truth`.
    """
    if arm == "classifier":
        return {"auc": _less(figures["auc"], AUC_OF_CHANCE)}
    tables = read_predictions(files, truth).tables
    chance = on_other_patients(tables, truth.cohort)
    if chance is None:
        return {"ap50": undefined("one patient has more than half of all slices")}
    return {"ap50": compare_detections(tables, chance, truth.cohort)["ap50"].difference}


def _less(figure: Figure, amount: float) -> Figure:
    """Return the figure and its intervals, moved down by `amount`."""
    if figure.value is None:
        return figure
    return replace(
        figure,
        value=figure.value - amount,
        interval=_moved(figure.interval, amount),
        independent_interval=_moved(figure.independent_interval, amount),
    )


def _moved(interval: tuple[float, float] | None, amount: float) -> tuple[float, float] | None:
    return None if interval is None else (interval[0] - amount, interval[1] - amount)
