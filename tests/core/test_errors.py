"""The exceptions a user can meet."""

import pickle
from functools import partial

import pytest

from lnmdetect.core.errors import InputError, LnmDetectError, ModelError


@pytest.mark.parametrize("kind", [LnmDetectError, InputError, ModelError])
def test_an_error_crosses_to_another_process_whole(kind: type[LnmDetectError]) -> None:
    error = kind("a.dcm", expected="b", got="c", remedy="D.")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == "a.dcm: expected b, got c. D."
    assert (copy.where, copy.remedy) == ("a.dcm", "D.")


def test_a_path_below_a_scan_is_said_and_not_written_also_after_a_process() -> None:
    make = partial(InputError, expected="a whole file", got="a part", remedy="Copy it again.")
    error = make("DOE_JANE/1.dcm", is_path=True)
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert str(one) == "DOE_JANE/1.dcm: expected a whole file, got a part. Copy it again."
        assert one.for_file == (
            "a file of the scan: expected a whole file, got a part. Copy it again."
        )
    assert make("boxes.json").for_file.startswith("boxes.json: expected")


def test_files_named_beside_what_came_are_said_and_not_written_also_after_a_process() -> None:
    error = InputError("series 1.2", expected="a", got="b", remedy="C.", files=": DOE and ROE")
    for one in (error, pickle.loads(pickle.dumps(error))):
        assert str(one) == "series 1.2: expected a, got b: DOE and ROE. C."
        assert one.for_file == "series 1.2: expected a, got b. C."
