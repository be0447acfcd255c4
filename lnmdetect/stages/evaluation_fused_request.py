"""What `eval --fused` is to score: rows of one table, each a file or several that are pooled."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.io.learning_curves import CURVES
from lnmdetect.metrics.resampling import RESAMPLES, SEED

FUSED, TRAININGS = "--fused", "--curves"


@dataclass(frozen=True)
class RowFiles:
    """The files of one row.

    Attributes:
        name: as given; None leaves it to the modalities of the network.
        paths: of disjoint patients, as the test folds of a cross-validation.
    """

    name: str | None
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class FusedRequest:
    """What to score.

    Attributes:
        rows: of the table; every difference is one of them minus a later one.
        threshold: on P(metastatic), in place of those in the files.
        optimistic: go on although a model was trained or tuned on patients that are scored.
        bootstrap, seed: how many resamples of the patients, shuffles and swaps.
        output: where fused_metrics.json goes; None writes nothing.
        figures: folder for fused.md, the ROC curves and those of `curves`; None writes none.
        curves: trainings whose convergence is drawn there, by the name of their model.
    """

    rows: tuple[RowFiles, ...]
    threshold: float | None = None
    optimistic: bool = False
    bootstrap: int = RESAMPLES
    seed: int = SEED
    output: Path | None = None
    figures: Path | None = None
    curves: tuple[RowFiles, ...] = ()
    overwrite: bool = False


def rows_of(texts: Sequence[str]) -> tuple[RowFiles, ...]:
    """Return the rows that texts as `fused.json` or `triple=fused.json` ask for.

    Files of one name are pooled; a file without a name is a row of its own. A text that is the path
    of a file is one, whatever signs are in it.

    Raises:
        UsageError: a name or a path is empty.
        InputError: a file is not there.
    """
    named = [_named(text, FUSED) for text in texts]
    return _grouped((name, _existing(path)) for name, path in named)


def trainings_of(texts: Sequence[str]) -> tuple[RowFiles, ...]:
    """Return the trainings that texts as `runs/fusion` or `triple=runs/fusion` ask for.

    Those of one name, as of several folds, belong together.

    Raises:
        UsageError: a name or a path is empty.
        InputError: a folder holds no curves of a training.
    """
    named = [_named(text, TRAININGS) for text in texts]
    return _grouped((name, _training(path)) for name, path in named)


def _grouped(files: Iterable[tuple[str | None, Path]]) -> tuple[RowFiles, ...]:
    rows: list[RowFiles] = []
    for name, path in files:
        place = next((k for k, row in enumerate(rows) if name and row.name == name), None)
        if place is None:
            rows.append(RowFiles(name, (path,)))
        else:
            rows[place] = RowFiles(name, (*rows[place].paths, path))
    return tuple(rows)


def _named(text: str, option: str) -> tuple[str | None, Path]:
    name, equals, rest = text.partition("=")
    if Path(text).exists() or not equals:
        return None, Path(text)
    if not name.strip() or not rest:
        raise UsageError(
            option,
            expected="PATH or NAME=PATH",
            got=repr(text),
            remedy=f"Those of one name belong together, as in {option} triple=fold1.",
        )
    return name.strip(), Path(rest)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(
            path.name or FUSED,
            expected="a file",
            got="a folder" if path.is_dir() else "none there",
            remedy=f"Give what `lnmdetect fuse` wrote with {FUSED}.",
        )
    return path


def _training(path: Path) -> Path:
    """Return the folder of a training; `path` may be its curves.csv."""
    folder = path.parent if path.name == CURVES else path
    if not (folder / CURVES).is_file():
        raise InputError(
            path.name or TRAININGS,
            expected=f"the folder of a training, with its {CURVES}",
            got="a folder without" if folder.is_dir() else "no such folder",
            remedy="Give what `lnmdetect train fusion` wrote with -o.",
        )
    return folder
