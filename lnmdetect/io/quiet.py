"""Silence for libraries that quote header values, such as the patient's name, in what they say."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_LIBRARIES = ("pydicom", "highdicom")


class _Silence:
    """Silence that threads share: filters and levels belong to the whole process.

    The first thread to come sets them and the last to go puts them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._undo = ExitStack()

    def enter(self) -> None:
        with self._lock:
            self._holders += 1
            if self._holders == 1:
                self._begin()

    def leave(self) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._undo.close()

    def _begin(self) -> None:
        self._undo.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for name in _LIBRARIES:
            log = logging.getLogger(name)
            self._undo.callback(log.setLevel, log.level)
            log.setLevel(logging.CRITICAL + 1)


_SILENCE = _Silence()


@contextmanager
def quiet_dicom() -> Iterator[None]:
    """Silence warnings, and the logs of pydicom and highdicom, while any thread is in such a block.

    What they say quotes values: an invalid date, or the name in front of an element.
    """
    _SILENCE.enter()
    try:
        yield
    finally:
        _SILENCE.leave()
