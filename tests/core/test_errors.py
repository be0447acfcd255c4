"""The exceptions a user can meet."""

import pickle

import pytest

from lnmdetect.core.errors import InputError, LnmDetectError, ModelError


@pytest.mark.parametrize("kind", [LnmDetectError, InputError, ModelError])
def test_an_error_crosses_to_another_process_whole(kind: type[LnmDetectError]) -> None:
    error = kind("a.dcm", expected="b", got="c", remedy="D.")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == "a.dcm: expected b, got c. D."
    assert (copy.where, copy.remedy) == ("a.dcm", "D.")
