"""`lnmdetect eval --fused FILE`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lnmdetect.cli_compare import options_of_evaluation, refuse_beside
from lnmdetect.cli_console import Talk
from lnmdetect.core.errors import UsageError

if TYPE_CHECKING:
    from lnmdetect.stages.evaluation_fused_request import FusedRequest
    from lnmdetect.stages.evaluation_request import EvalRequest


@dataclass(frozen=True)
class FusedTexts:
    """What is to be scored, as typed.

    Attributes:
        files: each as FILE or NAME=FILE.
        curves: trainings, each as FOLDER or NAME=FOLDER.
    """

    files: Sequence[str]
    curves: Sequence[str]


def show_fused(
    asked: "EvalRequest",
    fused: FusedTexts,
    talk: Talk,
    *,
    figures: Path | None,
    also: Mapping[str, object],
) -> None:
    """Score fused cases, print, and write what was asked for.

    Args:
        asked: what the options of `eval` say.
        fused: what to score and draw.
        talk: to the user.
        figures: folder for the figures.
        also: options that go with other commands alone.

    Raises:
        UsageError: an option is given that has no part in it, or trainings alone.
    """
    from lnmdetect.io.run_record import record_path
    from lnmdetect.stages.evaluation_fused import evaluate_fused
    from lnmdetect.stages.evaluation_fused_figures import fused_figure_paths
    from lnmdetect.stages.evaluation_fused_request import FUSED
    from lnmdetect.stages.evaluation_fused_tables import fused_tables
    from lnmdetect.stages.evaluation_request import TRUTH

    given = {"--truth": asked.truth != (TRUTH,), "--boxes": asked.boxes, "--nodes": asked.nodes}
    given |= {"--truth-nodes": asked.truth_nodes, "--linked-nodes": asked.linked_nodes}
    refuse_beside(FUSED, {**given, **also, **options_of_evaluation(asked)})
    request = _request(asked, fused, figures)
    result = evaluate_fused(request, talk)
    talk.table(fused_tables(result))
    talk.json(result.to_json())
    if request.output is not None:
        talk.note(f"Written: {request.output} and {record_path(request.output)}")
    if figures is None:
        again = (word for text in fused.files for word in (FUSED, text))
        talk.hint("lnmdetect", "eval", *again, "--figures", "figures")
        return
    written = [str(path) for path in fused_figure_paths(figures) if path.is_file()]
    talk.note(f"Written: {', '.join(written)}")


def _request(asked: "EvalRequest", fused: FusedTexts, figures: Path | None) -> "FusedRequest":
    from lnmdetect.stages.evaluation_fused_request import (
        TRAININGS,
        FusedRequest,
        rows_of,
        trainings_of,
    )

    if not fused.files:
        raise UsageError(
            TRAININGS,
            expected="--fused and --figures beside it",
            got="no --fused",
            remedy="Give what `lnmdetect fuse` wrote with --fused.",
        )
    return FusedRequest(
        rows_of(fused.files),
        threshold=asked.threshold,
        optimistic=asked.optimistic,
        bootstrap=asked.bootstrap,
        seed=asked.seed,
        output=asked.output,
        figures=figures,
        curves=trainings_of(fused.curves),
        overwrite=asked.overwrite,
    )
