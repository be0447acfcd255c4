"""The checks of a model's heat as a rich table."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lnmdetect.core.wording import counted
from lnmdetect.metrics.faithfulness import HOT_SHARE, MOST_OVERLAP, RANDOM_REGIONS, TRIES
from lnmdetect.stages.evaluation_info import over_patients_sentence
from lnmdetect.stages.explain_looks import FAT_HU
from lnmdetect.stages.explain_result import ExplainResult
from lnmdetect.stages.figure_tables import figure_text


def explain_tables(result: ExplainResult) -> RenderableType:
    """Return the two checks, what they say, and what they rest on."""
    info, checks = result.info, result.checks
    of = f"{info.model['arm']} {info.model['name']}"
    table = Table(
        title=f"Where {of} looks{', phantom figures' if info.phantom else ''}",
        title_justify="left",
    )
    table.add_column("Figure, mean over boxes")
    for name in ("Value", "95 % interval or reason", "n"):
        table.add_column(name, justify="right")
    for name, figure in (
        ("Share of the heat inside the node", checks.share_inside),
        ("Share of the crop inside the node", checks.area_share),
        ("Difference", checks.share_above_area),
        (f"Fall of the answer without the hottest {HOT_SHARE:.0%}", checks.drop_hottest),
        ("Fall without as much elsewhere", checks.drop_random),
        ("Difference", checks.drop_above_random),
    ):
        n = "" if figure.n is None else str(figure.n)
        table.add_row(name, *figure_text(figure), n, end_section=name == "Difference")
    cells = "" if info.cells is None else ", {} x {} cells".format(*info.cells)
    how = (
        f"{info.method} of the {info.explains}, map of {info.layer}{cells}; "
        f"{counted(len(result.boxes), 'box', 'boxes')} of {counted(result.patients, 'patient')}."
    )
    wiped = (
        f"Wiped out: {HOT_SHARE:.0%} of the crop's pixels, filled with {FAT_HU} HU; elsewhere: the "
        f"same region moved at random, {RANDOM_REGIONS} times a box (seed {info.seed}), with at "
        f"most {MOST_OVERLAP:.0%} of it on the hottest where {TRIES} draws give such a place."
    )
    intervals = f"Intervals: {over_patients_sentence(info.resamples, info.seed)}."
    notes = [f"Note: {note}" for note in info.notes]
    lines = (*result.findings, how, wiped, intervals, *notes)
    return Group(table, *(Text(line) for line in lines))
