"""The files of a benchmark's table beside its JSON, and the picture of its ROC curves."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib import rc_context

from lnmdetect.io.figures import COLOURS, STYLE, new_figure, save_png
from lnmdetect.io.figures_data import Curve
from lnmdetect.io.json_files import atomic_output

_LINES = ("-", "--", "-.", ":")


def write_csv(rows: Sequence[Mapping[str, object]], path: Path) -> None:
    """Write rows of one table, all with the same columns, in place of an earlier one.

    Raises:
        OutputError: the folder cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_table_text(text.getvalue(), path)


def write_table_text(text: str, path: Path) -> None:
    """Write a table as text, in place of an earlier one.

    Raises:
        OutputError: the folder cannot be written.
    """
    with atomic_output(path, overwrite=True) as stream:
        stream.write(text.encode("utf-8"))


def plot_roc_curves(curves: Sequence[Curve], path: Path, *, title: str, phantom: bool) -> None:
    """Write a PNG of several ROC curves on one plane; told apart by colour and by dashes.

    Args:
        curves: false positive rate against true positive rate.
        path: of the PNG; replaced where it is there.
        title: of the picture.
        phantom: the figure says that the data are synthetic.

    Raises:
        OutputError: the folder cannot be written.
    """
    with rc_context(STYLE):
        figure = new_figure(width_in=5.6, height_in=5.6)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#777777", linewidth=0.8, linestyle=":")
        for place, curve in enumerate(curves):
            axes.plot(
                curve.x,
                curve.y,
                color=COLOURS[place % len(COLOURS)],
                linestyle=_LINES[place // len(COLOURS) % len(_LINES)],
                linewidth=1.3,
                label=curve.label,
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_aspect("equal")
        axes.set_xlabel("1 − specificity (false-positive rate)")
        axes.set_ylabel("sensitivity (true-positive rate)")
        axes.set_title(title, loc="left")
        if phantom:
            axes.set_title("phantom data", loc="right", color="#555555", style="italic")
        axes.legend(loc="lower right")
        save_png(figure, path, overwrite=True)
