"""What is told of a machine beside a measured time."""

from pathlib import Path

import pytest

from lnmdetect.io import machine_facts as module
from lnmdetect.io.machine_facts import machine_facts

TOLD = """processor\t: 0
model name\t: Some CPU @ 2.00GHz
flags\t\t: fpu avx2 avx512f avx512_bf16 unheard_of

processor\t: 1
model name\t: Another CPU
flags\t\t: fpu
"""


def test_the_first_processor_and_the_flags_that_matter_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(TOLD)
    monkeypatch.setattr(module, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("os.getloadavg", lambda: (0.123, 5.0, 9.0))
    facts = machine_facts()
    assert facts.cpu == "Some CPU @ 2.00GHz"
    assert facts.flags == ("avx2", "avx512f", "avx512_bf16")
    assert facts.load_average == 0.12
    assert {"torch", "numpy"} <= facts.packages.keys()
    assert facts.to_json()["flags"] == ["avx2", "avx512f", "avx512_bf16"]


def test_a_system_that_tells_nothing_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CPU_INFO", tmp_path / "absent")
    monkeypatch.setattr("platform.processor", lambda: "")
    facts = machine_facts()
    assert facts.cpu == "not told by the system"
    assert facts.flags == ()
