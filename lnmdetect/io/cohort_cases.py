"""The studies of a cohort: which folders and archives they are, and their keyed names."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.wording import counted
from lnmdetect.io.input_stamp import file_states
from lnmdetect.io.pseudonym import keyed_digest, load_key

CASE_DIGITS = 16


@dataclass(frozen=True)
class Case:
    """One study.

    Attributes:
        name: `s-` and 16 hex digits, keyed; the same for the same place below the cohort's folder.
        path: a folder or a zip archive, whose own name may be a patient's.
    """

    name: str
    path: Path


@dataclass(frozen=True)
class Cases:
    """The studies in order of their names, and how many files lie beside them."""

    studies: tuple[Case, ...]
    loose_files: int


def list_cases(studies: Path, *, depth: int = 1, leave_out: Path | None = None) -> Cases:
    """Return the studies below a folder: its folders and zip archives, so many levels down.

    Args:
        studies: the folder.
        depth: 1 for the entries of the folder itself, 2 for those of its folders, and so on; an
            archive higher up is a study too.
        leave_out: a folder of results, which may lie within.

    Raises:
        InputError: there is no such folder, it cannot be read, or no study is in it.
        UsageError: the folder of results lies within a study.
        OutputError: the pseudonym key can neither be read nor made.
    """
    if not studies.is_dir():
        raise InputError(
            studies.name or "input",
            expected="a folder that holds a folder or a zip archive for each study",
            got="a file" if studies.exists() else "a path at which there is none",
            remedy="Check the path; `lnmdetect run` takes a single study.",
        )
    key = load_key()
    results = leave_out.resolve() if leave_out else None
    try:
        found, loose = _entries(studies, depth, results)
    except OSError as error:
        raise InputError(
            studies.name or "input",
            expected="a folder that can be read",
            got=error.strerror or type(error).__name__,
            remedy="Check its permissions.",
        ) from None
    if not found:
        raise InputError(
            studies.name or "input",
            expected="a folder or a zip archive for each study",
            got=f"neither, and {counted(loose, 'file')}",
            remedy="Give the folder around the studies, or their level with --depth; "
            "`lnmdetect run` takes a single study.",
        )
    named = (Case(_name(path, studies, key), path) for path in found)
    return Cases(tuple(sorted(named, key=lambda case: case.name)), loose)


def case_name(path: Path, studies: Path) -> str:
    """Return the name of the study at a path below the cohort's folder.

    Raises:
        OutputError: the pseudonym key can neither be read nor made.
    """
    return _name(path, studies, load_key())


def input_stamp(path: Path) -> str:
    """Return a keyed digest of a study's files: their names, sizes and times of change.

    No file is opened. A file that changes, comes or goes gives another stamp.

    Raises:
        InputError: nothing is there, or the path is no text.
        OutputError: the pseudonym key can neither be read nor made.
    """
    lines = "".join(f"{name} {state}\n" for name, state in file_states(path))
    return keyed_digest("files", lines, load_key())


def _entries(folder: Path, depth: int, results: Path | None) -> tuple[list[Path], int]:
    """Return the studies, and the number of files that are none.

    A folder that cannot be looked into is taken for a study, whose analysis will say so.
    """
    found: list[Path] = []
    loose = 0
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        try:
            below, files = _entry(path, depth, results)
        except OSError:
            below, files = [path], 0
        found += below
        loose += files
    return found, loose


def _entry(path: Path, depth: int, results: Path | None) -> tuple[list[Path], int]:
    """Return what `_entries` does, of one entry."""
    place = path.resolve()
    if place == results:
        return [], 0
    if not path.is_dir():
        is_archive = path.suffix.lower() == ".zip"
        return ([path], 0) if is_archive else ([], 1)
    if depth > 1:
        return _entries(path, depth - 1, results)
    if results is not None and place in results.parents:
        _refuse_within(results)
    return [path], 0


def _refuse_within(results: Path) -> NoReturn:
    """Refuse results that would be read with their study, and change it."""
    raise UsageError(
        "--output",
        expected="a folder outside of every study",
        got=f"{results.name}, which lies within one",
        remedy="Choose a folder beside that of the studies.",
    )


def _name(path: Path, studies: Path, key: bytes) -> str:
    place = path.relative_to(studies).as_posix()
    return f"s-{keyed_digest('case', place, key)[:CASE_DIGITS]}"
