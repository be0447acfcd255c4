"""curves.csv: whole or not there."""

from pathlib import Path

import pytest

from lnmdetect.core.errors import InputError
from lnmdetect.io.learning_curves import load_curves, save_curves


def test_curves_have_a_line_an_epoch(tmp_path: Path) -> None:
    save_curves(tmp_path, [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    assert (tmp_path / "curves.csv").read_text().split() == ["epoch,loss", "1,0.5", "2,0.25"]
    assert load_curves(tmp_path) == [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]


@pytest.mark.parametrize(
    "content", [b"epoch,loss\n1,low\n", b"epoch,loss\n1\n", b"\xff\xfe\n1\n", b"a,b\n1,2\n"]
)
def test_damaged_curves_are_refused(tmp_path: Path, content: bytes) -> None:
    assert load_curves(tmp_path) == []
    (tmp_path / "curves.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"curves\.csv: expected a table of numbers"):
        load_curves(tmp_path)
