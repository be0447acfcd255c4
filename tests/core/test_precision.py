"""Forms of inference, and when a figure counts as held."""

import pytest

from lnmdetect.core.patient_digests import PatientDigests
from lnmdetect.core.precision import (
    EXACT,
    CheckedForm,
    HeldFigure,
    InferenceForm,
    checked_from_json,
    with_checked,
)

BF16, INT8 = InferenceForm("bf16"), InferenceForm("int8", "openvino")


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


def test_checked_forms_come_back_from_json_in_their_order() -> None:
    figures = (HeldFigure("AP50", 0.8, 0.801), HeldFigure("AUC", 0.7, 0.7))
    patients = PatientDigests("a" * 64, ("b" * 16,))
    forms = (
        CheckedForm(INT8, figures, "3 patients", cpu_flags=("avx2", "avx512_vnni")),
        CheckedForm(BF16, figures, "40 patients", patients),
    )
    assert checked_from_json([one.to_json() for one in forms]) == forms
    assert checked_from_json([one.to_json() for one in forms[::-1]]) == forms[::-1]
    assert checked_from_json([]) == ()


def test_the_one_form_of_an_older_bundle_is_read_as_one_of_several() -> None:
    older = {
        "precision": "bf16",
        "engine": "torch",
        "figures": [{"name": "AUC", "exact": 0.9, "other": 0.899}],
        "checked_on": "40 held-out patients",
    }
    expected = CheckedForm(BF16, (HeldFigure("AUC", 0.9, 0.899),), "40 held-out patients")
    assert checked_from_json(older) == (expected,)


def test_a_newer_check_takes_the_place_of_an_earlier_one_of_its_form_alone() -> None:
    figures = (HeldFigure("AP50", 0.8, 0.801),)
    bf16, int8 = CheckedForm(BF16, figures, "3 patients"), CheckedForm(INT8, figures, "4 patients")
    assert with_checked((), bf16) == (bf16,)
    assert with_checked((bf16,), int8) == (bf16, int8)
    newer = CheckedForm(BF16, figures, "40 patients")
    assert with_checked((bf16, int8), newer) == (int8, newer)
    twice = [bf16.to_json(), newer.to_json()]
    with pytest.raises(ValueError, match="expected each form once"):
        checked_from_json(twice)


@pytest.mark.parametrize(
    ("form", "had", "has", "holds"),
    [
        (INT8, ("avx2", "avx512_vnni"), ("avx2",), False),
        (INT8, ("avx512_vnni", "amx_int8"), ("avx_vnni",), True),
        (INT8, ("avx2",), ("avx2", "avx512f"), True),  # it overflowed in the check as well
        (INT8, ("avx2", "avx512_vnni"), (), False),  # not told here
        (INT8, (), ("avx2",), False),  # nor of the check
        (INT8, (), ("avx2", "avx512_vnni"), False),
        (INT8, (), (), False),
        (BF16, (), (), True),  # older bundles
        (BF16, ("avx512_vnni", "avx512_bf16"), (), True),
    ],
)
def test_int8_holds_only_where_its_sums_are_as_wide_as_they_were(
    form: InferenceForm, had: tuple[str, ...], has: tuple[str, ...], holds: bool
) -> None:
    checked = CheckedForm(form, (HeldFigure("AP50", 0.8, 0.8),), "40 patients", cpu_flags=had)
    assert checked.holds_with(has) == holds


def test_a_bundle_that_claims_a_form_whose_figures_moved_is_refused() -> None:
    stored = CheckedForm(BF16, (HeldFigure("AP50", 0.8, 0.801),), "40 patients").to_json()
    stored["figures"][0]["other"] = 0.9
    with pytest.raises(ValueError, match="expected figures within"):
        checked_from_json([stored])
