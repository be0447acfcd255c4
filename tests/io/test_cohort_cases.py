"""Which folders and archives are studies, what they are called, and when they have changed."""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.io.cohort_cases import input_stamp, list_cases


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """An empty folder, beside which the test's key lies."""
    (tmp_path / "studies").mkdir()
    return tmp_path / "studies"


def places(root: Path, depth: int = 1) -> set[str]:
    found = list_cases(root, depth=depth).studies
    return {case.path.relative_to(root).as_posix() for case in found}


def test_folders_and_archives_are_studies_and_other_files_are_counted(studies: Path) -> None:
    put(studies / "one" / "deep" / "1.dcm")
    put(studies / "two.ZIP")
    put(studies / "DICOMDIR")
    put(studies / ".hidden" / "1.dcm")
    assert places(studies) == {"one", "two.ZIP"}
    assert list_cases(studies).loose_files == 1


def test_studies_may_lie_further_down(studies: Path) -> None:
    put(studies / "a" / "s1" / "1.dcm")
    put(studies / "a" / "s2" / "1.dcm")
    put(studies / "b.zip")
    put(studies / "c" / "list.csv")
    assert places(studies, depth=2) == {"a/s1", "a/s2", "b.zip"}
    assert list_cases(studies, depth=2).loose_files == 1


def test_a_folder_of_results_within_is_no_study(studies: Path) -> None:
    put(studies / "a" / "1.dcm")
    put(studies / "out" / "run.json")
    (only,) = list_cases(studies, leave_out=studies / "x" / ".." / "out").studies
    assert only.path.name == "a"


@pytest.mark.parametrize("depth", [1, 2])
def test_results_within_a_study_are_refused(studies: Path, depth: int) -> None:
    put(studies / "a" / "s1" / "1.dcm")
    within = studies / "a" / "s1" / "out"
    with pytest.raises(UsageError, match="--output: expected a folder outside of every study"):
        list_cases(studies, depth=depth, leave_out=within)
    assert len(list_cases(studies, depth=2, leave_out=studies / "a" / "out").studies) == 1


def test_a_folder_that_cannot_be_looked_into_is_a_study_and_stops_no_other(
    studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(studies / "a" / "s1" / "1.dcm")
    put(studies / "shut" / "s1" / "1.dcm")
    look = Path.iterdir

    def shut(folder: Path) -> Iterator[Path]:
        if folder.name == closed:
            raise PermissionError(errno.EACCES, "Permission denied")
        return look(folder)

    monkeypatch.setattr(Path, "iterdir", shut)
    closed = "shut"
    assert places(studies, depth=2) == {"a/s1", "shut"}
    closed = "studies"
    with pytest.raises(InputError, match="studies: expected a folder that can be read, got Permi"):
        list_cases(studies)


def test_a_name_is_keyed_and_that_of_the_place_below_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for root in ("here", "there"):
        put(tmp_path / root / "DOE^JANE" / "1.dcm")
    names = [list_cases(tmp_path / root).studies[0].name for root in ("here", "there")]
    assert names[0] == names[1]
    assert re.fullmatch("s-[0-9a-f]{16}", names[0])
    monkeypatch.setenv("LNMDETECT_KEY_FILE", str(tmp_path / "other.key"))
    assert list_cases(tmp_path / "here").studies[0].name != names[0]


def test_names_that_are_no_text_are_named_too(studies: Path) -> None:
    odd = studies / os.fsdecode(b"M\xfcller")
    odd.mkdir()
    (case,) = list_cases(studies).studies
    with pytest.raises(InputError, match="expected a path that is text in UTF-8"):
        input_stamp(case.path)


def test_a_change_of_name_size_time_or_number_of_files_gives_another_stamp(tmp_path: Path) -> None:
    study = tmp_path / "study"
    file = put(study / "series" / "1.dcm", "abc")
    stamps = [input_stamp(study)]
    assert input_stamp(study) == stamps[0]
    os.utime(file, ns=(1, 1))
    stamps.append(input_stamp(study))
    file.write_text("abcd")
    os.utime(file, ns=(1, 1))
    stamps.append(input_stamp(study))
    put(study / "2.dcm")
    stamps.append(input_stamp(study))
    (study / "2.dcm").rename(study / "3.dcm")
    stamps.append(input_stamp(study))
    assert len(set(stamps)) == 5
    archive = put(tmp_path / "a.zip", "no archive at all")
    before = input_stamp(archive)
    archive.write_text("another")
    assert input_stamp(archive) != before
