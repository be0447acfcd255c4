"""Which cases a fusion network can answer, and as batches for it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lnmdetect.core.errors import InputError, LnmDetectError, UsageError
from lnmdetect.core.fusion_config import FusionConfig
from lnmdetect.core.ultrasound import UltrasoundCase, UltrasoundDataset
from lnmdetect.datasets.fusion_data import FusionBatch, FusionItem, collate_fusion, read_item
from lnmdetect.io.input_files import printable
from lnmdetect.io.ultrasound_pixels import read_frame

CASES_A_BATCH = 16


def used_modalities(
    case: UltrasoundCase, model: FusionConfig, without: Sequence[str]
) -> tuple[str, ...]:
    """Return the modalities that an answer rests on: the network's, of those the case has."""
    there = set(model.modalities) - set(without)
    return tuple(modality for modality in case.modalities() if modality in there)


def sorted_out(
    dataset: UltrasoundDataset, model: FusionConfig, without: Sequence[str], file: str
) -> tuple[list[UltrasoundCase], list[LnmDetectError]]:
    """Return the cases that a network can answer, and why it cannot answer the others.

    A network that was trained without modality dropout has learnt from whole cases; it does not
    answer one that lacks an image or a finding by itself.

    Args:
        dataset: the cases.
        model: the network.
        without: modalities that are taken from every case, on purpose.
        file: name of the dataset's file.

    Raises:
        UsageError: `without` leaves nothing of what the network is built of.
    """
    needed = [name for name in model.modalities if name not in without]
    if not needed:
        raise _nothing_left(model, without)
    cases, failures = [], list[LnmDetectError]()
    for number, case in enumerate(dataset.cases):
        used = used_modalities(case, model, without)
        missing = [name for name in needed if name not in used]
        where = f"{file}: cases[{number}], case {printable(case.case_id)!r}"
        if not used:
            failures.append(_nothing_there(where, needed))
        elif missing and not model.modality_dropout:
            failures.append(_not_whole(where, needed, missing))
        else:
            cases.append(case)
    return cases, failures


def _nothing_left(model: FusionConfig, without: Sequence[str]) -> UsageError:
    built_of = ", ".join(model.modalities)
    return UsageError(
        "--without",
        expected=f"one modality that is left of the model's: {built_of}",
        got=", ".join(without),
        remedy="Name fewer, or give a model of more modalities.",
    )


def _nothing_there(where: str, needed: Sequence[str]) -> InputError:
    return InputError(
        where,
        expected=f"{' or '.join(needed)}, of which the model answers",
        got="a case with none",
        remedy="Add one, or leave such cases out with --skip-unanswerable.",
    )


def _not_whole(where: str, needed: Sequence[str], missing: Sequence[str]) -> InputError:
    return InputError(
        where,
        expected=f"{' and '.join(needed)}: the model was trained without modality_dropout",
        got=f"a case without {' and '.join(missing)}",
        remedy="Give a model whose recipe sets modality_dropout, as compact does, or leave such "
        "cases out with --skip-unanswerable.",
    )


def item_reader(
    root: Path, model: FusionConfig, without: Iterable[str]
) -> Callable[[UltrasoundCase], FusionItem]:
    """Return what reads a case's images below `root`, as the network sees them.

    An image that cannot be read raises InputError.
    """
    read, left_out = partial(read_frame, root), tuple(without)
    return lambda case: read_item(case, read, model).without(left_out)


def case_batches(
    cases: Sequence[UltrasoundCase],
    read: Callable[[UltrasoundCase], FusionItem],
    labels: Sequence[int] | None = None,
) -> Iterator[FusionBatch]:
    """Yield the cases in order, `CASES_A_BATCH` at a time; `labels` stand in for their own."""
    for first in range(0, len(cases), CASES_A_BATCH):
        part = slice(first, first + CASES_A_BATCH)
        items = [read(case) for case in cases[part]]
        if labels is not None:
            given = zip(items, labels[part], strict=True)
            items = [replace(item, label=label) for item, label in given]
        yield collate_fusion(items)
