"""The folder of `lnmdetect cohort`: a folder of results a study, and a record in each."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from lnmdetect.core.cohort import FINISHED, CohortStudy, study_from_json
from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.io.cohort_cases import Case, input_stamp
from lnmdetect.io.file_locks import hold
from lnmdetect.io.json_files import read_json, require_folder, write_json
from lnmdetect.io.pseudonym import KEY_FILE_VARIABLE, keyed_digest, load_key

STUDIES, RECORD, PART, LOCK, TRIES = "studies", "study.json", ".part", "lock", ".tries"
GIVEN_UP = "given_up"
MARK = ".cohort-"
"""Begins the name of an empty file, which says whose the folder is and ends with a word that only
the cohort's pseudonym key gives."""


@dataclass(frozen=True)
class CohortFolder:
    """The folder `root`; several parts of one cohort may be worked on in it at once."""

    root: Path

    def results(self, case: str) -> Path:
        """Return where the results of a study lie, all of them or none."""
        return self.root / STUDIES / case

    def draft(self, case: str) -> Path:
        """Return where they are written before they are whole."""
        return self.root / STUDIES / f".{case}{PART}"

    def prepare(self) -> None:
        """Make the folder, or take up that of an earlier run.

        Raises:
            OutputError: it holds something else, or cannot be made.
            UsageError: its studies are named with another key.
        """
        require_folder(self.root)
        mark = f"{MARK}{keyed_digest('cohort', '', load_key())[:16]}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            names = {path.name for path in self.root.iterdir()}
            if names and mark not in names:
                self._refuse(any(name.startswith(MARK) for name in names))
            (self.root / mark).touch()  # a file without content is never half written
            (self.root / STUDIES).mkdir(exist_ok=True)
        except OSError as error:
            raise self._unusable(error.strerror or type(error).__name__) from None

    def _refuse(self, is_cohort: bool) -> NoReturn:
        if not is_cohort:
            raise self._unusable("one that holds something else")
        raise UsageError(
            KEY_FILE_VARIABLE,
            expected="the pseudonym key with which this cohort was begun",
            got="another one, by which its studies have other names",
            remedy="Let it name that key's file, or choose another --output.",
        )

    @contextlib.contextmanager
    def locked(self, part: str | None) -> Iterator[None]:
        """Hold the folder for one part of the cohort, or for all of it where that is None.

        Raises:
            OutputError: another run works on the same.
        """
        with contextlib.ExitStack() as held:
            self._lock(held, LOCK, shared=part is not None)
            if part:
                self._lock(held, f"{LOCK}.{part}")
                for name in self._locks_of_other_divisions(part):
                    self._lock(held, name, shared=True)
            yield

    def _locks_of_other_divisions(self, part: str) -> list[str]:
        """Return the locks of parts of another number of parts, which share studies with this."""
        division = part.rpartition("-of-")[2]
        names = sorted(path.name for path in self.root.glob(f"{LOCK}.part-*"))
        return [name for name in names if name.rpartition("-of-")[2] != division]

    def record(self, case: str) -> CohortStudy | None:
        """Return the record of a study, None where there is none that can be read."""
        try:
            study = study_from_json(read_json(self.results(case) / RECORD))
        except (InputError, ValueError):
            return None
        return study if study.case == case else None

    def is_current(self, case: Case, study: CohortStudy, made_with: Mapping[str, Any]) -> bool:
        """Return whether a study's results are whole, and those that a run would give again.

        Args:
            case: where the study's files are.
            study: its record.
            made_with: what else decides the results.
        """
        made = dict(study.made_with)
        inputs = made.pop("inputs", None)
        if study.status not in FINISHED or made != made_with or not self._is_whole(study):
            return False
        try:
            return bool(inputs == input_stamp(case.path))
        except (InputError, OSError):  # it can be read no more: its analysis will say why
            return False

    def new_draft(self, case: str) -> Path:
        """Return an empty folder for the results of a study.

        Raises:
            OutputError: the disk refuses.
        """
        draft = self.draft(case)
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
        except OSError as error:
            raise self._unusable(error.strerror or type(error).__name__) from None
        return draft

    def publish(self, study: CohortStudy) -> CohortStudy:
        """Return the study with its files after making its draft its results.

        Raises:
            OutputError: the disk refuses.
        """
        draft, results = self.draft(study.case), self.results(study.case)
        try:
            sizes = {path.name: path.stat().st_size for path in sorted(draft.iterdir())}
            whole = replace(study, files=sizes)
            write_json(whole.to_json(), draft / RECORD)
            if results.exists():
                shutil.rmtree(results)
            draft.replace(results)
            self.drop_draft(study.case)
        except OSError as error:
            raise self._unusable(error.strerror or type(error).__name__) from None
        return whole

    def keep_failure(self, study: CohortStudy) -> None:
        """Put the record of a study that has failed in place of any earlier results.

        Raises:
            OutputError: the disk refuses.
        """
        self.new_draft(study.case)
        self.publish(study)

    def drop_draft(self, case: str) -> None:
        """Delete what an analysis that did not end has left."""
        shutil.rmtree(self.draft(case), ignore_errors=True)
        shutil.rmtree(self._tries(case), ignore_errors=True)

    def forget_results(self, case: str) -> None:
        """Delete the results of a study."""
        shutil.rmtree(self.results(case), ignore_errors=True)

    def attempt(self, case: str, step: str) -> int:
        """Return the number of this attempt at a step, from 1, whichever process made the others.

        Raises:
            OutputError: the disk refuses.
        """
        path = self._tries(case) / step
        try:
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as stream:
                stream.write(b".")
            return path.stat().st_size
        except OSError as error:
            raise self._unusable(error.strerror or type(error).__name__) from None

    def give_up(self, case: str, reason: str) -> None:
        """Write down, before its process ends itself, why a study is not to be tried again.

        Raises:
            OSError: the disk refuses.
        """
        self._tries(case).mkdir(exist_ok=True)
        (self._tries(case) / GIVEN_UP).write_text(reason, encoding="utf-8")

    def why_given_up(self, case: str) -> str:
        """Return what `give_up` wrote, nothing where it did not."""
        path = self._tries(case) / GIVEN_UP
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def _tries(self, case: str) -> Path:
        return self.root / STUDIES / f".{case}{TRIES}"

    def other_results(self, cases: frozenset[str]) -> int:
        """Return how many studies have results here and are none of the cases."""
        names = (path.name for path in (self.root / STUDIES).iterdir())
        return sum(not name.startswith(".") and name not in cases for name in names)

    def _is_whole(self, study: CohortStudy) -> bool:
        folder = self.results(study.case)
        try:
            return all((folder / name).stat().st_size == n for name, n in study.files.items())
        except OSError:
            return False

    def _lock(self, held: contextlib.ExitStack, name: str, *, shared: bool = False) -> None:
        try:
            hold(held.enter_context((self.root / name).open("a")), shared=shared)
        except BlockingIOError:
            raise self._unusable("one that another run works in") from None
        except OSError as error:
            raise self._unusable(error.strerror or type(error).__name__) from None

    def _unusable(self, got: str) -> OutputError:
        return OutputError(
            self.root.name or "output",
            expected="a folder for this cohort",
            got=got,
            remedy="Choose another --output, end the other run, or free the disk.",
        )
