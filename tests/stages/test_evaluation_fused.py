"""`eval --fused`: rows of fused cases, pooled folds, paired differences, table 1."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import chi2_contingency, mannwhitneyu
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from lnmdetect.cli import app
from lnmdetect.core.errors import InputError, OutputError, UsageError
from lnmdetect.core.fused import FusedCase, FusedDataset
from lnmdetect.core.patient_digests import PatientDigests, chosen_on, trained_on
from lnmdetect.core.ultrasound import Finding, ImagePlace, Sex, UltrasoundCase
from lnmdetect.io import figures_training
from lnmdetect.io.fused_files import write_fused
from lnmdetect.io.learning_curves import save_curves
from lnmdetect.metrics.delong import compare_delong
from lnmdetect.stages.evaluation_fused import evaluate_fused
from lnmdetect.stages.evaluation_fused_cohort import cohort_table
from lnmdetect.stages.evaluation_fused_figures import fused_plots
from lnmdetect.stages.evaluation_fused_request import (
    FusedRequest,
    RowFiles,
    rows_of,
    trainings_of,
)
from lnmdetect.stages.evaluation_fused_result import FusedResult
from lnmdetect.stages.evaluation_fused_table_1 import methods, table_1
from lnmdetect.stages.evaluation_fused_tables import fused_markdown, fused_tables

RNG = np.random.default_rng(11)
N = 60
TRUTH = RNG.random(N) < 0.45
ALL = ("bmode", "ceus", "finding")
TRIPLE, DUAL = (
    [round(float(p), 6) for p in 1 / (1 + np.exp(-RNG.normal(strength * (2 * TRUTH - 1))))]
    for strength in (1.2, 0.5)
)
AGES = [float(age) for age in RNG.integers(25, 70, N)]
FINDINGS: list[Finding] = ["present" if RNG.random() < 0.4 else "absent" for _ in range(N)]
SEXES: list[Sex] = ["F" if RNG.random() < 0.7 else "M" for _ in range(N)]


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def case(number: int, **changes: Any) -> UltrasoundCase:
    whole = UltrasoundCase(
        case_id=f"c{number:02}",
        patient=f"p{number // 2:02}",
        bmode=ImagePlace(f"{number}_b.png"),
        ceus=(ImagePlace(f"{number}_c.png"),),
        finding=FINDINGS[number],
        label="metastatic" if TRUTH[number] else "benign",
        age_years=AGES[number],
        sex=SEXES[number],
        max_size_mm=None,
    )
    return replace(whole, **changes)


def write(
    name: str,
    p: list[float],
    numbers: Iterable[int] = range(N),
    *,
    modalities: tuple[str, ...] = ALL,
    used: tuple[str, ...] | None = None,
    threshold: float = 0.5,
    info: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Write a fused.json of some cases; `changes` are made to each."""
    fusion = {"name": "m", "sha256": "0" * 64, "modalities": list(modalities)}
    told = {"phantom": True, "scan_root": ".", "fusion": {**fusion, "threshold": threshold}}
    answered = tuple(
        FusedCase(case(k, **changes), p[k], modalities if used is None else used) for k in numbers
    )
    write_fused(FusedDataset({**told, **(info or {})}, answered), Path(name), overwrite=True)
    return Path(name)


def scored(*texts: str, **changes: Any) -> FusedResult:
    return evaluate_fused(FusedRequest(rows_of(texts), **{"bootstrap": 200, **changes}))


def printed(result: FusedResult, width: int = 300) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(fused_tables(result))
    return " ".join(capture.get().split())


def test_each_file_is_a_row_called_at_its_own_threshold() -> None:
    level = sorted(TRIPLE)[33]  # a case of just that probability is called metastatic
    write("triple.json", TRIPLE, threshold=level)
    write("dual.json", DUAL, modalities=("bmode", "ceus"), threshold=0.4)
    result = scored("triple.json", "dual.json")
    assert [row.name for row in result.rows] == ["B-mode + CEUS + finding", "B-mode + CEUS"]
    for row, p, threshold in zip(result.rows, (TRIPLE, DUAL), (level, 0.4), strict=True):
        called = np.array(p) >= threshold
        assert row.threshold.value == threshold
        assert row.figures.auc.value == pytest.approx(roc_auc_score(TRUTH, p))
        assert row.figures.tpr.value == pytest.approx(called[TRUTH].mean())
        assert row.figures.tnr.value == pytest.approx((~called)[~TRUTH].mean())
        assert row.figures.accuracy.value == pytest.approx((called == TRUTH).mean())
        assert (row.figures.n, row.figures.patients) == (60, 30)
    assert result.rows[0].modalities_used == {"bmode+ceus+finding": 60}


def test_intervals_draw_patients_with_both_of_their_cases() -> None:
    write("triple.json", TRIPLE)
    result = scored("triple.json", bootstrap=300, seed=3)
    weights = np.random.default_rng(3).multinomial(30, np.full(30, 1 / 30), size=300)
    right = (np.array(TRIPLE) >= 0.5) == TRUTH
    shares = weights @ right.reshape(30, 2).sum(axis=1) / 60
    expected = np.quantile(shares, [0.025, 0.975])
    assert result.rows[0].figures.accuracy.interval == pytest.approx(expected)


def test_the_difference_is_the_first_less_the_other_on_the_same_cases() -> None:
    write("triple.json", TRIPLE)
    write("dual.json", DUAL, range(4, N), modalities=("bmode", "ceus"))
    result = scored("all=triple.json", "two=dual.json")
    (found,) = result.differences
    kept = slice(4, N)
    assert (found.a, found.b, found.only_a, found.only_b) == ("all", "two", 4, 0)
    assert found.comparison is not None
    expected = roc_auc_score(TRUTH[kept], TRIPLE[kept]) - roc_auc_score(TRUTH[kept], DUAL[kept])
    assert found.comparison.auc.difference.value == pytest.approx(expected)
    delong = compare_delong(TRUTH[kept], np.array(TRIPLE[kept]), np.array(DUAL[kept]))
    assert found.comparison.delong == delong
    assert (found.comparison.n, found.comparison.patients) == (56, 28)
    assert any("left out: 4 of all and 0 of two." in note for note in result.info.notes)


def test_each_pair_of_rows_is_compared_the_earlier_less_the_later() -> None:
    rows = {"triple": ALL, "dual": ("bmode", "ceus"), "single": ("ceus",)}
    p_of = {"triple": TRIPLE, "dual": DUAL, "single": DUAL[::-1]}
    for name, modalities in rows.items():
        write(f"{name}.json", p_of[name], modalities=modalities)
    result = scored(*(f"{name}={name}.json" for name in rows))
    pairs = {(one.a, one.b): one.comparison for one in result.differences}
    assert list(pairs) == [("triple", "dual"), ("triple", "single"), ("dual", "single")]
    last = pairs["dual", "single"]
    assert last is not None
    expected = roc_auc_score(TRUTH, DUAL) - roc_auc_score(TRUTH, DUAL[::-1])
    assert last.auc.difference.value == pytest.approx(expected)
    assert "| dual less single | 60 | " in fused_markdown(result)


def test_a_terminal_shows_all_pairs_of_five_rows_and_of_more_those_with_the_first() -> None:
    for number in range(6):
        write(f"{number}.json", [p * 0.9**number for p in TRIPLE])
    five = scored(*(f"row{k}={k}.json" for k in range(5)), bootstrap=0)
    assert "row3 less row4" in printed(five)
    assert "more pair" not in printed(five)
    six = scored(*(f"row{k}={k}.json" for k in range(6)), bootstrap=0)
    assert "row0 less row5" in printed(six)
    assert "row3 less row4" not in printed(six)
    assert "10 more pairs of rows: in fused_metrics.json (-o) and fused.md." in printed(six)
    assert "| row3 less row4 | " in fused_markdown(six)


@pytest.mark.parametrize("first", ["t", "f"])
def test_the_lead_over_the_best_single_is_the_least_of_all_and_picks_none(first: str) -> None:
    write("t.json", TRIPLE)
    write("b.json", DUAL, modalities=("bmode",))
    write("f.json", (0.9 * np.array(TRIPLE) + 0.05 * ~TRUTH).tolist(), modalities=("finding",))
    names = sorted("tbf", key=lambda name: name != first)
    result = scored(*(f"{name}={name}.json" for name in names))
    ends = {}
    for one in result.differences:
        if "t" in (one.a, one.b):
            assert one.comparison is not None
            found = one.comparison.auc.difference
            assert found.interval is not None
            turned = one.a != "t"
            ends["".join({one.a, one.b} - {"t"})] = (
                (-1 if turned else 1) * (found.value or 0),
                -found.interval[1] if turned else found.interval[0],
            )
    (least, of), (low, low_of) = (min((end[k], name) for name, end in ends.items()) for k in (0, 1))
    assert of == low_of == "f"
    (note,) = (note for note in result.info.notes if "best single" in note)
    assert note == (
        "t less the best single modality, whichever that is (none is picked on these cases): AUC "
        f"{least:+.3f} at least (less {of}), and the interval starts at {low:+.3f}, the lowest "
        f"start of all (less {low_of})."
    )


def test_one_single_modality_alone_is_no_best() -> None:
    write("t.json", TRIPLE)
    write("b.json", DUAL, modalities=("bmode",))
    assert not any("best single" in note for note in scored("t.json", "b.json").info.notes)


@pytest.mark.parametrize("pooled", [False, True])
def test_a_terminal_of_80_letters_cuts_no_word_and_no_number(pooled: bool) -> None:
    write("whole.json", TRIPLE)
    write("dual.json", DUAL, range(30), modalities=("bmode", "ceus"))
    write("more.json", DUAL, range(30, N), modalities=("bmode", "ceus"))
    name = "B-mode + CEUS + finding"
    texts = [f"{name}=whole.json", "B-mode + CEUS=dual.json"]
    result = scored(*texts, *(["B-mode + CEUS=more.json"] if pooled else []))
    text = printed(result, width=80)
    assert "…" not in text
    words = set(text.replace("│", " ").split())
    for row in result.rows:
        for figure in (row.figures.tpr, row.figures.tnr, row.figures.accuracy, row.figures.auc):
            assert f"{figure.value:.3f}" in words
            assert figure.interval is not None
            assert {f"{end:.2f}" for end in figure.interval} <= words
    for column in ("sensitivity", "specificity", "accuracy", "McNemar", "DeLong"):
        assert column in text


def test_the_output_is_none_of_the_files_that_are_read() -> None:
    path = write("a.json", TRIPLE)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="--output: expected another file than those that are"):
        scored("t=a.json", output=Path("a.json"), overwrite=True)
    assert path.read_bytes() == before


def test_a_row_is_the_same_whatever_stands_beside_it() -> None:
    write("triple.json", TRIPLE)
    write("dual.json", DUAL, range(10, 40))
    alone, beside = scored("x=dual.json"), scored("y=triple.json", "x=dual.json")
    assert beside.rows[1] == alone.rows[0]


def test_folds_of_one_name_are_pooled_into_the_row_of_the_whole() -> None:
    write("whole.json", TRIPLE)
    for fold in range(3):
        numbers = [k for k in range(N) if k // 2 % 3 == fold]
        write(f"fold{fold}.json", TRIPLE, numbers)
    whole = scored("cv=whole.json").rows[0]
    result = scored("cv=fold2.json", "cv=fold0.json", "cv=fold1.json")
    pooled = result.rows[0]
    assert [stamp.file for stamp in pooled.files] == ["fold2.json", "fold0.json", "fold1.json"]
    assert (pooled.figures, pooled.permutation) == (whole.figures, whole.permutation)
    assert whole.auc_within_files is None
    assert any("Files pooled (cv: 3)" in note for note in result.info.notes)


def test_each_pooled_fold_is_called_at_the_threshold_of_its_own_model() -> None:
    write("a.json", TRIPLE, range(30), threshold=0.2)
    write("b.json", TRIPLE, range(30, N), threshold=0.8)
    row = scored("cv=a.json", "cv=b.json").rows[0]
    called = np.array(TRIPLE) >= np.where(np.arange(N) < 30, 0.2, 0.8)
    assert row.figures.tpr.value == pytest.approx(called[TRUTH].mean())
    assert (row.threshold.value, row.threshold.values) == (None, (0.2, 0.8))


def test_pairs_of_two_folds_are_left_out_of_the_area_within_files() -> None:
    folds = [range(30), range(30, N)]
    shifted = [p if k < 30 else p**8 for k, p in enumerate(TRIPLE)]
    for number, fold in enumerate(folds):
        write(f"fold{number}.json", shifted, fold)
    write("dual.json", DUAL)
    result = scored("cv=fold0.json", "cv=fold1.json", "two=dual.json")
    areas = []
    for p in (TRIPLE, DUAL):
        own = [(TRUTH[f.start : f.stop], p[f.start : f.stop]) for f in folds]
        pairs = [truth.sum() * (~truth).sum() for truth, _ in own]
        areas.append(np.average([roc_auc_score(*one) for one in own], weights=pairs))
    row, (found,) = result.rows[0], result.differences
    assert row.auc_within_files is not None
    assert row.auc_within_files.value == pytest.approx(areas[0])
    assert row.auc_within_files.interval is not None
    assert row.figures.auc.value is not None
    assert row.figures.auc.value < areas[0] - 0.02
    assert found.auc_within_files is not None
    assert found.auc_within_files.difference.value == pytest.approx(areas[0] - areas[1])
    assert result.rows[1].auc_within_files is None
    assert "AUC within files" in printed(result)


@pytest.mark.parametrize(
    ("numbers", "changes", "message"),
    [
        (range(28, 40), {}, r"b.json: cases\[0\]: .* got a case that a.json has too"),
        (range(30, 40), {"patient": "p03"}, r"b.json: cases\[0\]: .* got a patient that a.json"),
        (range(30, 40), {"modalities": ("bmode",)}, "b.json: info: expected modalities and"),
        (range(30, 40), {"info": {"phantom": False}}, "b.json: info: .* phantom False"),
    ],
)
def test_a_case_or_patient_is_pooled_once_and_kinds_are_not_mixed(
    numbers: range, changes: dict[str, Any], message: str
) -> None:
    write("a.json", TRIPLE, range(30))
    write("b.json", TRIPLE, numbers, **changes)
    with pytest.raises(InputError, match=message):
        scored("cv=a.json", "cv=b.json")


def test_the_same_file_is_neither_pooled_with_itself_nor_compared_with_itself() -> None:
    write("a.json", TRIPLE)
    path = Path("a.json")
    with pytest.raises(InputError, match="got a case that a"):
        evaluate_fused(FusedRequest((RowFiles("x", (path, path)),), bootstrap=0))
    with pytest.raises(UsageError, match="got the same content twice"):
        scored("x=a.json", "y=a.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "benign"}, r"b.json: cases\[\d+\]: expected the label that this case has in a"),
        ({"patient": "px"}, r"b.json: cases\[0\]: expected the patient that this case has in a"),
        ({"info": {"phantom": False}}, "b.json: info.phantom: expected true, as in a.json"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    write("a.json", TRIPLE)
    write("b.json", DUAL, **changes)
    with pytest.raises(InputError, match=message):
        scored("a.json", "b.json")


def test_rows_without_a_case_in_common_stand_beside_each_other_with_a_reason() -> None:
    write("a.json", TRIPLE, range(30))
    write("b.json", DUAL, range(30, N))
    result = scored("a.json", "b.json")
    assert result.differences[0].comparison is None
    assert result.differences[0].reason == "no case in common"
    assert "(no case in common)" in printed(result)
    assert not any("left out" in note for note in result.info.notes)
    assert (result.info.cases, result.info.patients) == (60, 30)


def test_rows_of_one_name_are_told_apart_by_their_files() -> None:
    write("a.json", TRIPLE)
    write("b.json", DUAL)
    write("c.json", DUAL, used=("bmode",))
    names = [row.name for row in scored("a.json", "b.json", "c.json").rows]
    full = "B-mode + CEUS + finding"
    assert names == [f"{full} (a.json)", f"{full} (b.json)", f"{full}, without CEUS + finding"]


def test_answers_from_fewer_modalities_are_counted() -> None:
    some = [replace(case(k), finding="unknown") if k < 5 else case(k) for k in range(N)]
    answered = tuple(FusedCase(c, p, c.modalities()) for c, p in zip(some, TRIPLE, strict=True))
    fusion = {"name": "m", "sha256": "0" * 64, "modalities": list(ALL), "threshold": 0.5}
    write_fused(FusedDataset({"fusion": fusion}, answered), Path("a.json"))
    result = scored("t=a.json")
    assert result.rows[0].modalities_used == {"bmode+ceus+finding": 55, "bmode+ceus": 5}
    assert any("5 of 60 cases answered from fewer modalities" in n for n in result.info.notes)
    finding = result.cohort.levels["finding"]
    assert sum(finding.unknown) == 5
    assert set(finding.levels) == {"absent", "present"}


def test_cases_without_a_label_are_counted_and_left_out() -> None:
    write("a.json", TRIPLE, range(40))
    write("b.json", TRIPLE, range(40, N), label=None)
    result = scored("t=a.json", "t=b.json")
    row = result.rows[0]
    assert (row.figures.n, row.unlabelled, result.info.cases) == (40, 20, 40)
    assert any("t: 20 cases have no label" in note for note in result.info.notes)


def test_one_class_alone_leaves_reasons_in_place_of_numbers() -> None:
    write("a.json", TRIPLE, label="metastatic")
    write("b.json", DUAL, label="metastatic")
    result = scored("a=a.json", "b=b.json", figures=Path("figures"))
    figures = result.rows[0].figures
    assert figures.auc.reason == figures.tnr.reason == "no benign case"
    assert result.rows[0].permutation.auc.reason == "no benign case"
    assert result.differences[0].reason == "no benign case in common"
    assert result.cohort.numbers["age_years"].test.reason is not None
    assert [path.name for path in Path("figures").iterdir()] == ["fused.md"]
    assert "node" not in json.dumps(result.to_json())


def test_table_1_holds_each_case_once_with_its_tests() -> None:
    write("triple.json", TRIPLE)
    write("dual.json", DUAL, modalities=("bmode", "ceus"))
    result = scored("triple.json", "dual.json")
    cohort, ages = result.cohort, np.array(AGES)
    assert (cohort.benign, cohort.metastatic, cohort.patients) == (
        int((~TRUTH).sum()),
        int(TRUTH.sum()),
        30,
    )
    age = cohort.numbers["age_years"]
    assert age.metastatic.median == pytest.approx(np.median(ages[TRUTH]))
    assert age.test.p_value == pytest.approx(mannwhitneyu(ages[~TRUTH], ages[TRUTH]).pvalue)
    present = np.array([finding == "present" for finding in FINDINGS])
    counts = [[int((present == there)[c == TRUTH].sum()) for there in (0, 1)] for c in (0, 1)]
    finding = cohort.levels["finding"]
    assert finding.levels["present"] == (counts[0][1], counts[1][1])
    expected = chi2_contingency(counts, correction=False).pvalue
    assert finding.test.p_value == pytest.approx(expected)
    size = cohort.numbers["max_size_mm"]
    assert (size.benign.n, size.benign.unknown) == (0, cohort.benign)
    assert size.test.reason == "no value in one of the two groups"
    assert any("Some patients have several cases" in note for note in result.info.notes)


def test_locations_are_compared_by_their_words_and_rare_ones_taken_together() -> None:
    places = {0: "Isthmus", 1: "pyramidal lobe", 2: " "}
    cases = [
        case(k, location=places.get(k, "left lobe" if k % 3 else "  LEFT \n lobe "))
        for k in range(N)
    ]
    found = cohort_table(cases).levels["location"]
    of_class = [int((TRUTH[3:] == c).sum()) for c in (False, True)]
    others = [int((TRUTH[:2] == c).sum()) for c in (False, True)]
    assert found.levels == {"left lobe": tuple(of_class), "other": tuple(others)}
    assert (sum(found.unknown), found.different) == (1, 3)
    row = next(row for row in table_1(cohort_table(cases)).rows if "other" in row[0])
    assert row[0].split() == ["other,", "2", "different"]


def test_the_p_value_of_a_quality_stands_beside_its_heading_and_its_test_below() -> None:
    write("a.json", TRIPLE)
    result = scored("a.json", bootstrap=0)
    rows = {row[0].strip(): row[-1] for row in table_1(result.cohort).rows}
    assert rows["age, years"] != ""
    assert rows["maximum size, mm"] == "- (no value in one of the two groups)"
    assert (rows["F"], rows["mean ± SD"]) == ("", "")
    (told,) = methods(result.cohort)
    assert told == (
        "p of table 1: Mann-Whitney U, normal approximation corrected for ties and continuity "
        "(age); Pearson's chi-squared without continuity correction (sex, finding)."
    )
    assert told in printed(result)


def test_patients_that_a_model_was_trained_or_tuned_on_are_refused_or_said() -> None:
    seen = PatientDigests.of(["p00", "p01"], "0" * 64)
    write("a.json", TRIPLE, info=trained_on("fusion", seen))
    with pytest.raises(InputError, match="the fusion network was trained on 2 patients"):
        scored("a.json")
    with pytest.raises(InputError, match="the fusion network was trained on 2 patients"):
        scored("a.json", threshold=0.3)
    notes = scored("a.json", optimistic=True).info.notes
    assert any(note.startswith("Optimistic: in a.json the fusion network") for note in notes)
    write("b.json", TRIPLE, info=chosen_on("fusion_threshold", seen))
    with pytest.raises(InputError, match="threshold was chosen on 2 patients"):
        scored("b.json")
    row = scored("b.json", threshold=0.3).rows[0]
    assert (row.threshold.value, row.threshold.source) == (0.3, "--threshold")
    called = np.array(TRIPLE) >= 0.3
    assert row.figures.tpr.value == pytest.approx(called[TRUTH].mean())


def test_a_fold_s_model_may_have_been_trained_on_the_other_folds() -> None:
    folds = [range(30), range(30, N)]
    for number, other in ((0, 1), (1, 0)):
        names = [f"p{k // 2:02}" for k in folds[other]]
        info = trained_on("fusion", PatientDigests.of(names, "0" * 64))
        write(f"fold{number}.json", TRIPLE, folds[number], info=info)
    assert scored("cv=fold0.json", "cv=fold1.json").rows[0].figures.n == 60


def test_the_curves_of_rows_stand_in_one_figure() -> None:
    write("triple.json", TRIPLE)
    write("dual.json", DUAL, modalities=("bmode", "ceus"))
    alone = fused_plots(scored("triple.json")).roc
    assert alone is not None
    assert alone.curve.band is not None
    assert len(alone.points) == 1
    both = fused_plots(scored("triple.json", "dual.json")).roc
    assert both is not None
    assert (both.curve.band, both.points) == (None, ())
    auc = roc_auc_score(TRUTH, DUAL)
    assert [curve.label for curve in both.others] == [f"B-mode + CEUS, AUC {auc:.3f}"]
    np.testing.assert_array_equal(both.curve.y, alone.curve.y)


def test_files_are_written_whole_and_replaced_only_when_asked() -> None:
    write("triple.json", TRIPLE)
    write("dual.json", DUAL, modalities=("bmode", "ceus"))
    output, figures = Path("fused_metrics.json"), Path("figures")
    texts = ("triple.json", "dual.json")
    result = scored(*texts, output=output, figures=figures)
    assert json.loads(output.read_text()) == json.loads(json.dumps(result.to_json()))
    record = json.loads(Path("fused_metrics.run.json").read_text())
    assert set(record["inputs"]) == set(texts)
    assert {path.name for path in figures.iterdir()} == {"fused.md", "roc.svg", "roc.png"}
    markdown = (figures / "fused.md").read_text()
    assert markdown == fused_markdown(result)
    assert "| B-mode + CEUS + finding | 60 (" in markdown
    assert "phantom figures**" in markdown
    assert "phantom data" in (figures / "roc.svg").read_text()
    with pytest.raises(OutputError, match=r"fused_metrics.json"):
        scored(*texts, output=output)
    with pytest.raises(OutputError, match=r"fused.md"):
        scored(*texts, figures=figures)
    scored(*texts, output=output, figures=figures, overwrite=True)


def test_without_resamples_there_are_no_intervals_and_no_p_values_of_shuffles() -> None:
    write("a.json", TRIPLE)
    result = scored("a.json", bootstrap=0)
    assert result.rows[0].figures.auc.interval is None
    assert result.rows[0].permutation.auc.reason == "no permutations asked for"
    assert "labels shuffled: (1 + C)" not in printed(result)


def test_published_figures_are_labelled_as_other_data() -> None:
    write("a.json", TRIPLE)
    text = printed(scored("a.json"))
    assert (
        "Published (Guang 2023; other data): B-mode + CEUS + finding: AUC 0.831, sensitivity 0.8065"
        in text
    )
    assert "finding alone: sensitivity 0.386, specificity 0.9." in text


def test_words_of_a_file_cannot_break_a_table() -> None:
    write("a.json", TRIPLE, location="left|lobe\n# lower")
    text = fused_markdown(scored("a.json", bootstrap=20))
    assert "|   left/lobe # lower | " in text.replace("\N{NO-BREAK SPACE}", " ")


def test_names_and_files_are_told_apart() -> None:
    for name in ("a.json", "b.json", "x=a.json"):
        Path(name).write_text("{}")
    assert rows_of(["t=a.json", "x=a.json", "b.json", "t=b.json"]) == (
        RowFiles("t", (Path("a.json"), Path("b.json"))),
        RowFiles(None, (Path("x=a.json"),)),
        RowFiles(None, (Path("b.json"),)),
    )
    for text in ("=a.json", "t=", " =a.json"):
        with pytest.raises(UsageError, match="--fused: expected PATH or NAME=PATH"):
            rows_of([text])
    with pytest.raises(InputError, match=r"no.json: expected a file, got none there"):
        rows_of(["t=no.json"])


def test_eval_prints_the_table_or_json_and_says_what_follows() -> None:
    write("triple.json", TRIPLE)
    runner = CliRunner()
    args = ["eval", "--fused", "triple.json", "--bootstrap", "50"]
    told = runner.invoke(app, args)
    assert told.exit_code == 0
    assert "Table 1, cases by class, phantom figures" in told.stdout
    assert "Next: lnmdetect eval --fused triple.json --figures figures" in told.stderr
    data = json.loads(runner.invoke(app, [*args, "--json"]).stdout)
    assert data["rows"][0]["figures"]["n"] == 60
    written = runner.invoke(app, [*args, "-o", "m.json", "--figures", "f"])
    assert "Written: m.json and m.run.json" in written.stderr
    assert "Written: f/fused.md, f/roc.svg, f/roc.png" in written.stderr


def training(folder: str, losses: Iterable[float]) -> Path:
    """Leave the curves of a training in a folder."""
    Path(folder).mkdir(parents=True)
    rows = [{"epoch": k, "cross_entropy": loss, "auc": 0.7} for k, loss in enumerate(losses, 1)]
    save_curves(Path(folder), rows)
    return Path(folder)


def test_trainings_are_told_apart_and_folds_of_one_name_belong_together() -> None:
    one, two, three = (training(f"{run}/fusion", [0.7]) for run in "abc")
    found = trainings_of(["t=a/fusion", "b/fusion/curves.csv", "t=c/fusion"])
    assert found == (RowFiles("t", (one, three)), RowFiles(None, (two,)))
    for text in ("no", "t=a"):
        with pytest.raises(InputError, match=r"expected the folder of a training, with its curves"):
            trainings_of([text])
    with pytest.raises(UsageError, match="--curves: expected PATH or NAME=PATH"):
        trainings_of(["=a/fusion"])


def test_convergence_is_drawn_a_panel_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, Any] = {}
    plot = figures_training.plot_curves_of_models

    def spy(models: Any, path: Path, **told: Any) -> None:
        drawn.update(models)
        plot(models, path, **told)

    monkeypatch.setattr(figures_training, "plot_curves_of_models", spy)
    for folder, losses in (("a/fusion", [0.7, 0.6]), ("b/fusion", [0.8]), ("c", [0.5])):
        training(folder, losses)
    write("t.json", TRIPLE)
    texts = ["$x=a/fusion", "a/fusion", "b/fusion", "$x=c"]
    changes: dict[str, Any] = {"curves": trainings_of(texts), "bootstrap": 0}
    scored("t.json", figures=Path("f"), **changes)
    assert {
        name: [[row["cross_entropy"] for row in rows] for rows in trainings]
        for name, trainings in drawn.items()
    } == {"\\$x": [[0.7, 0.6], [0.5]], "fusion": [[0.7, 0.6]], "fusion (2)": [[0.8]]}
    assert {path.name for path in Path("f").iterdir()} >= {"convergence.png", "roc.png"}
    with pytest.raises(OutputError, match=r"fused.md"):
        scored("t.json", figures=Path("f"), **changes)
    with pytest.raises(UsageError, match="--curves: expected --figures beside it"):
        scored("t.json", **changes)


def test_curves_without_fused_cases_are_refused() -> None:
    training("a", [0.7])
    told = CliRunner().invoke(app, ["eval", "--curves", "a", "--figures", "f"])
    assert told.exit_code == 2
    assert "--curves: expected --fused and --figures beside it, got no --fused" in told.stderr


@pytest.mark.parametrize(
    "option", ["--truth", "--nodes", "--by", "--readers", "--choose-threshold"]
)
def test_options_of_boxes_have_no_part_in_it(option: str) -> None:
    write("triple.json", TRIPLE)
    value = "sensitivity=0.9" if option == "--choose-threshold" else "x.json"
    extra = ["--optimistic"] if option == "--choose-threshold" else []
    told = CliRunner().invoke(app, ["eval", "--fused", "triple.json", option, value, *extra])
    assert told.exit_code == 2
    assert f"expected no {option} beside it" in told.stderr
