"""The peak memory of a command is its own, and grows with what it holds."""

import subprocess
import sys

import pytest

from lnmdetect.stages.command_memory import told_mb, watched_line


def peak_mb(code: str) -> float:
    line = watched_line([sys.executable, "-c", code])
    return told_mb(subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout)


def test_the_peak_grows_by_what_the_command_held_and_not_by_what_its_parent_holds() -> None:
    held = bytearray(300_000_000)
    held[::4096] = b"1" * len(held[::4096])
    plain = peak_mb("pass")
    assert plain < 100
    more = peak_mb("b = bytearray(200_000_000); b[::4096] = b'1' * len(b[::4096])")
    assert 195 < more - plain < 215


def test_what_the_command_wrote_is_not_taken_for_its_peak() -> None:
    assert peak_mb("print(123456789)") < 100


def test_a_command_that_fails_is_no_measurement() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        peak_mb("raise SystemExit(3)")
