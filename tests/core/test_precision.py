"""Forms of inference, and when a figure counts as held."""

import pytest

from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.core.precision import (
    EXACT,
    CheckedForm,
    HeldFigure,
    InferenceForm,
    checked_from_json,
)

BF16 = InferenceForm("bf16")


def test_a_figure_is_held_up_to_five_thousandths_either_way() -> None:
    assert HeldFigure("AP50", 0.800, 0.805).held
    assert HeldFigure("AP50", 0.800, 0.795).held
    assert not HeldFigure("AP50", 0.800, 0.8051).held
    assert not HeldFigure("AP50", 0.800, 0.7949).held
    assert HeldFigure("AP50", 0.5, 0.25).moved == -0.25


@pytest.mark.parametrize("value", [1.01, -0.1, float("nan")])
def test_a_figure_outside_its_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"AUC: expected a figure in \[0, 1\]"):
        HeldFigure("AUC", 0.5, value)


def test_a_form_is_told_in_words_and_an_unknown_one_is_refused() -> None:
    assert (EXACT.described, BF16.described) == ("fp32 on torch", "bf16 on torch")
    with pytest.raises(ValueError, match=r"expected one of .*'bf16'.*got 'fp8'"):
        InferenceForm("fp8")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got 'tvm'"):
        InferenceForm("fp32", "tvm")  # type: ignore[arg-type]


@pytest.mark.parametrize("figures", [(), (HeldFigure("AP50", 0.8, 0.7),)])
def test_a_form_counts_as_checked_only_with_figures_that_held(
    figures: tuple[HeldFigure, ...],
) -> None:
    with pytest.raises(ValueError, match=r"bf16 on torch: expected figures within 0\.005"):
        CheckedForm(BF16, figures, "40 patients")


def test_a_checked_form_comes_back_from_json() -> None:
    figures = (HeldFigure("AP50", 0.8, 0.801), HeldFigure("AUC", 0.7, 0.7))
    patients = PatientDigests("a" * 64, ("b" * 16,))
    for checked in (
        CheckedForm(BF16, figures, "40 patients", patients),
        CheckedForm(InferenceForm("int8", "openvino"), figures, "3 patients"),
    ):
        assert checked_from_json(checked.to_json()) == checked
    assert checked_from_json(None) is None


def test_a_bundle_that_claims_a_form_whose_figures_moved_is_refused() -> None:
    stored = CheckedForm(BF16, (HeldFigure("AP50", 0.8, 0.801),), "40 patients").to_json()
    stored["figures"][0]["other"] = 0.9
    with pytest.raises(ValueError, match="expected figures within"):
        checked_from_json(stored)
