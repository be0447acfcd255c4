"""What `eval --fused` is to score: rows of one table, each a file or several that are pooled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.metrics.resampling import RESAMPLES, SEED

FUSED = "--fused"


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
        figures: folder for fused.md and the ROC curves; None writes none.
    """

    rows: tuple[RowFiles, ...]
    threshold: float | None = None
    optimistic: bool = False
    bootstrap: int = RESAMPLES
    seed: int = SEED
    output: Path | None = None
    figures: Path | None = None
    overwrite: bool = False


def rows_of(texts: Sequence[str]) -> tuple[RowFiles, ...]:
    """Return the rows that texts as `fused.json` or `triple=fused.json` ask for.

    Files of one name are pooled; a file without a name is a row of its own. A text that is the path
    of a file is one, whatever signs are in it.

    Raises:
        UsageError: a name or a path is empty.
        InputError: a file is not there.
    """
    rows: list[RowFiles] = []
    for text in texts:
        name, path = _named(text)
        place = next((k for k, row in enumerate(rows) if name and row.name == name), None)
        if place is None:
            rows.append(RowFiles(name, (path,)))
        else:
            rows[place] = RowFiles(name, (*rows[place].paths, path))
    return tuple(rows)


def _named(text: str) -> tuple[str | None, Path]:
    name, equals, rest = text.partition("=")
    if Path(text).is_file() or not equals:
        return None, _existing(Path(text))
    if not name.strip() or not rest:
        raise UsageError(
            FUSED,
            expected="FILE or NAME=FILE",
            got=repr(text),
            remedy="Files of one name are pooled, as in --fused triple=fold1.json.",
        )
    return name.strip(), _existing(Path(rest))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(
            path.name or FUSED,
            expected="a file",
            got="a folder" if path.is_dir() else "none there",
            remedy=f"Give what `lnmdetect fuse` wrote with {FUSED}.",
        )
    return path
