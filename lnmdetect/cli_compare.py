"""`lnmdetect eval --compare A B` and `lnmdetect eval --readers CSV`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lnmdetect.cli_console import Talk
from lnmdetect.core.errors import UsageError

if TYPE_CHECKING:
    from lnmdetect.stages.evaluation_request import EvalRequest


def show_comparison(
    asked: "EvalRequest", files: Sequence[Path], talk: Talk, *, also: Mapping[str, object]
) -> None:
    """Compare prediction files, print, and write what was asked for.

    Args:
        asked: what the options of `eval` say.
        files: A and B, and others beside A.
        talk: to the user.
        also: options that go with other commands alone.

    Raises:
        UsageError: an option is given that has no part in a comparison.
    """
    from lnmdetect.io.run_record import record_path
    from lnmdetect.stages.comparison import CompareRequest, compare, table_path
    from lnmdetect.stages.comparison_tables import comparison_tables

    given = {"--boxes": asked.boxes, "--nodes": asked.nodes, "--truth-nodes": asked.truth_nodes}
    given |= {"--linked-nodes": asked.linked_nodes}
    refuse_beside("--compare", {**given, **also, **options_of_evaluation(asked)})
    request = CompareRequest(
        files[0],
        files[1],
        also=tuple(files[2:]),
        truth=asked.truth,
        threshold=asked.threshold,
        optimistic=asked.optimistic,
        bootstrap=asked.bootstrap,
        seed=asked.seed,
        output=asked.output,
        overwrite=asked.overwrite,
    )
    result = compare(request, talk)
    talk.table(comparison_tables(result))
    talk.json(result.to_json())
    if request.output is not None:
        table = table_path(request.output)
        talk.note(f"Written: {request.output}, {table} and {record_path(request.output)}")


def compared_files(
    compare: tuple[Path, Path] | None, also: Sequence[Path] | None
) -> tuple[Path, ...]:
    """Return the files that are to be compared, none where none are.

    Raises:
        UsageError: more files are given, and none to compare them with.
    """
    if also and compare is None:
        raise UsageError(
            "--also",
            expected="--compare A B beside it",
            got="none",
            remedy="Give the first two files with --compare A B.",
        )
    return (*(compare or ()), *(also or ()))


def show_readers(asked: "EvalRequest", readers: Path, talk: Talk, *, figures: Path | None) -> None:
    """Put readers beside the model, print, and write what was asked for.

    Raises:
        UsageError: an option is given that has no part in it, or several files where one is needed.
    """
    from lnmdetect.io.run_record import record_path
    from lnmdetect.stages.evaluation_request import NODES
    from lnmdetect.stages.readers import ReadersRequest, compare_readers
    from lnmdetect.stages.readers_tables import readers_tables

    refuse_beside("--readers", {"--boxes": asked.boxes, **options_of_evaluation(asked)})
    request = ReadersRequest(
        readers,
        model=_only("--nodes or --truth-nodes", (*asked.truth_nodes, *asked.nodes) or (NODES,)),
        truth=_only("--truth", asked.truth),
        threshold=asked.threshold,
        optimistic=asked.optimistic,
        bootstrap=asked.bootstrap,
        seed=asked.seed,
        output=asked.output,
        figures=figures,
        overwrite=asked.overwrite,
    )
    result = compare_readers(request, talk)
    talk.table(readers_tables(result))
    talk.json(result.to_json())
    if request.output is not None:
        talk.note(f"Written: {request.output} and {record_path(request.output)}")
    if figures is not None and result.model.roc.fpr:
        talk.note(f"Written: {figures / 'roc.svg'} and {figures / 'roc.png'}")


def options_of_evaluation(asked: "EvalRequest") -> Mapping[str, object]:
    """Return the options that only a plain evaluation takes, with what was given."""
    from lnmdetect.metrics.froc import FROC_RATES

    return {
        "--ap50": asked.ap50_only,
        "--by": asked.by,
        "--fp-per-scan": asked.scan_rates != FROC_RATES,
        "--choose-threshold": asked.choose_threshold,
        "--choose-node-threshold": asked.choose_node_threshold,
    }


def refuse_beside(command: str, given: Mapping[str, object]) -> None:
    """Raise for an option that is given and has no part in a command.

    Raises:
        UsageError: there is one.
    """
    for option, value in given.items():
        if value:
            raise UsageError(
                command,
                expected=f"no {option} beside it",
                got="one",
                remedy=f"Leave out {option}, or evaluate without {command}.",
            )


def _only(option: str, paths: Iterable[Path]) -> Path:
    first, *more = paths
    if more:
        raise UsageError(
            "--readers",
            expected=f"one file with {option}",
            got=f"{1 + len(more)}",
            remedy="Readers' rows name boxes of one truth file by their ids.",
        )
    return first
