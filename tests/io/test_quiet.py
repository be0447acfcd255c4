"""What libraries say of header values stays unsaid, however many threads read at once."""

import logging
import threading
import warnings

import pytest

from lnmdetect.io.quiet import quiet_dicom


def speak(log: list[str]) -> list[str]:
    """Return what a library's warning and log come to: nothing where they are silenced."""
    handler = logging.Handler()
    handler.emit = lambda record: log.append(record.getMessage())  # type: ignore[method-assign]
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom.sr.content")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        warnings.warn("Invalid value for VR DA: '19530412'", UserWarning, stacklevel=1)
    except UserWarning as warning:  # pytest makes errors of warnings
        log.append(str(warning))
    for logger in loggers:
        logger.error("PatientName")
        logger.removeHandler(handler)
    return log


def test_within_the_block_nothing_is_said_and_behind_it_everything() -> None:
    with quiet_dicom():
        assert speak([]) == []
        with quiet_dicom():
            assert speak([]) == []
        assert speak([]) == []
    assert len(speak([])) == 3


def test_a_thread_that_ends_first_does_not_let_the_other_speak() -> None:
    second_is_in, first_is_out = threading.Event(), threading.Event()
    said: list[str] = []

    def second() -> None:
        with quiet_dicom():
            second_is_in.set()
            assert first_is_out.wait(10)
            speak(said)

    thread = threading.Thread(target=second)
    with quiet_dicom():
        thread.start()
        assert second_is_in.wait(10)
    first_is_out.set()
    thread.join()
    assert said == []
    assert len(speak([])) == 3


def test_an_error_within_ends_the_silence() -> None:
    with pytest.raises(ValueError, match="read"), quiet_dicom():
        raise ValueError("read")
    assert len(speak([])) == 3
