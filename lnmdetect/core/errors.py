"""The exceptions a user can meet; each says where, what was expected, what came and what to do."""

from functools import partial
from typing import ClassVar


class LnmDetectError(Exception):
    """A mistake or a limit that the user can act on; `exit_code` is the process's exit status.

    Args:
        where: the file, option or record the sentence is about (never a patient's name or id).
        expected: what was needed there.
        got: what was found instead.
        remedy: what to do about it, as one sentence.
        files: what names files of a scan, said after `got` and never written.
        is_path: `where` is a file's path below a scan, which may name the patient: it is said to
            who typed the command and never written.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        where: str,
        *,
        expected: str,
        got: str,
        remedy: str,
        files: str = "",
        is_path: bool = False,
    ) -> None:
        self.where = where
        self.expected = expected
        self.got = got
        self.remedy = remedy
        self.files = files
        self.is_path = is_path
        super().__init__(where, expected, got, remedy)

    def __reduce__(self) -> tuple[object, ...]:
        """Return how to rebuild the error: pickle would give its parts by position."""
        parts = {"expected": self.expected, "got": self.got, "remedy": self.remedy}
        parts["files"] = self.files
        return partial(type(self), self.where, is_path=self.is_path, **parts), ()

    def __str__(self) -> str:
        return f"{self.fault}. {self.remedy}"

    @property
    def fault(self) -> str:
        """What is wrong, without the remedy, as it is said to who typed the command."""
        return f"{self.where}: {self._what}{self.files}"

    @property
    def for_file(self) -> str:
        """The sentence as a file may hold it: no file of a scan is named."""
        where = "a file of the scan" if self.is_path else self.where
        return f"{where}: {self._what}. {self.remedy}"

    @property
    def _what(self) -> str:
        return f"expected {self.expected}, got {self.got}"


class UsageError(LnmDetectError):
    """An option or argument that cannot be used as given."""

    exit_code = 2


class InputError(LnmDetectError):
    """A file or scan that cannot be used as it is."""

    exit_code = 3


class MissingExtraError(InputError):
    """An input that needs an optional package which is not installed."""


class ModelError(LnmDetectError):
    """A model bundle that is absent, damaged or does not fit."""

    exit_code = 4


class OutputError(LnmDetectError):
    """A result that cannot be written, or that would overwrite another."""

    exit_code = 5


class PartialBatchError(LnmDetectError):
    """Some items of a batch failed; the others were written."""

    exit_code = 6
