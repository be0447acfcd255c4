"""The folder of a cohort: results whole or not there, and tries that outlive their processes."""

from pathlib import Path

import pytest

from lnmdetect.core.cohort import CohortStudy
from lnmdetect.io.cohort_folder import CohortFolder

CASE = "s-0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> CohortFolder:
    made = CohortFolder(tmp_path / "out")
    made.prepare()
    return made


def names(folder: CohortFolder) -> set[str]:
    return {path.name for path in (folder.root / "studies").iterdir()}


def test_results_replace_earlier_ones_as_a_whole(folder: CohortFolder) -> None:
    for file in ("first.json", "second.json"):
        (folder.new_draft(CASE) / file).write_text("{}\n")
        study = folder.publish(CohortStudy(CASE, "done", made_with={"x": 1}))
        assert study.files == {file: 3}
        assert folder.record(CASE) == study
    assert {path.name for path in folder.results(CASE).iterdir()} == {"second.json", "study.json"}
    folder.keep_failure(CohortStudy(CASE, "failed", "why"))
    assert [path.name for path in folder.results(CASE).iterdir()] == ["study.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"case": "s-1"}', None])
def test_a_record_that_cannot_be_read_is_none(folder: CohortFolder, text: str | None) -> None:
    folder.results(CASE).mkdir()
    if text is not None:
        (folder.results(CASE) / "study.json").write_text(text)
    assert folder.record(CASE) is None


def test_a_record_under_another_name_is_none(folder: CohortFolder) -> None:
    folder.keep_failure(CohortStudy(CASE, "failed", "why"))
    folder.results(CASE).rename(folder.results("s-1"))
    assert folder.record("s-1") is None


def test_tries_are_counted_by_step_until_results_are_there(folder: CohortFolder) -> None:
    assert [folder.attempt(CASE, "decode"), folder.attempt(CASE, "analyse")] == [1, 1]
    assert CohortFolder(folder.root).attempt(CASE, "decode") == 2
    folder.new_draft(CASE)
    folder.publish(CohortStudy(CASE, "done"))
    assert names(folder) == {CASE}
    assert folder.attempt(CASE, "decode") == 1


def test_why_a_study_was_given_up_is_kept_until_it_is_forgotten(folder: CohortFolder) -> None:
    assert folder.why_given_up(CASE) == ""
    folder.give_up(CASE, "too slow")
    folder.keep_failure(CohortStudy("s-1", "failed", "why"))
    assert folder.why_given_up(CASE) == "too slow"
    folder.new_draft(CASE)
    folder.drop_draft(CASE)
    folder.forget_results("s-1")
    assert folder.why_given_up(CASE) == ""
    assert names(folder) == set()
