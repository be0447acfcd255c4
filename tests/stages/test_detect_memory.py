"""`lnmdetect detect` takes as much memory for 800 slices as for 100."""

from pathlib import Path

import pytest

from tests.stages.memory import assert_memory_does_not_grow


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_number_of_slices(tmp_path: Path) -> None:
    assert_memory_does_not_grow("detect", "compact", tmp_path)
