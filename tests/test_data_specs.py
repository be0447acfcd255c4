"""Schemas, examples, readers and writers agree. Run as a module, this writes recipe.schema.json."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter
from referencing import Registry, Resource

from lnmdetect.core.cohort import CohortStatus, CohortStudy, study_from_json
from lnmdetect.core.config import Recipe
from lnmdetect.core.records import LYMPH_NODE, CocoDataset
from lnmdetect.datasets.folds import deal_as_wang2023
from lnmdetect.io.case_file import cases_to_json, read_cases
from lnmdetect.io.coco import dataset_to_json, read_coco
from lnmdetect.io.cohort_table import write_cohort_csv
from lnmdetect.io.fold_file import read_folds, write_folds
from lnmdetect.io.fused_files import fused_to_json, read_fused, write_fused
from lnmdetect.io.recipes import Arm, bundled_recipes, parse_recipe, read_recipe
from lnmdetect.io.run_record import RunRecord
from lnmdetect.io.ultrasound_files import read_ultrasound, ultrasound_to_json
from lnmdetect.stages.comparison import CompareRequest, compare
from lnmdetect.stages.evaluate import evaluate
from lnmdetect.stages.evaluation_fused import evaluate_fused
from lnmdetect.stages.evaluation_fused_request import FusedRequest, RowFiles
from lnmdetect.stages.evaluation_fused_result import FusedResult
from lnmdetect.stages.evaluation_request import EvalRequest
from lnmdetect.stages.readers import ReadersRequest, compare_readers

SPECS = Path(__file__).parents[1] / "data_specs"
COCO_FILES = ("truth", "boxes", "nodes", "segments")
ALL_FILES = (
    *COCO_FILES,
    *("doctor", "folds", "metrics", "comparison", "readers", "benchmark", "bench", "explain"),
    *("linked_nodes", "study", "cases", "push", "pull", "pacs_series", "ultrasound", "fused"),
    *("fused_metrics", "run", "model", "recipe"),
)
TABLES = ("readers.example.csv", "cohort.example.csv")
REFERRED_TO = ("coco", "metrics", "comparison", "ultrasound")


def schema(name: str) -> dict[str, Any]:
    loaded = json.loads((SPECS / f"{name}.schema.json").read_text())
    assert isinstance(loaded, dict)
    return loaded


def example(name: str) -> Any:
    if name == "recipe":
        return yaml.safe_load((SPECS / "recipe.example.yaml").read_text())
    return json.loads((SPECS / f"{name}.example.json").read_text())


def rounded(data: Any) -> Any:
    """What JSON gives back, numbers to nine digits: processors differ in the last ones."""
    return json.loads(json.dumps(data), parse_float=lambda number: f"{float(number):.9g}")


def errors(name: str, data: Any) -> list[str]:
    registry: Registry[Any] = Registry().with_resources(
        (f"{other}.schema.json", Resource.from_contents(schema(other))) for other in REFERRED_TO
    )
    plain = json.loads(json.dumps(data))
    found = Draft202012Validator(schema(name), registry=registry).iter_errors(plain)
    return [f"{error.json_path}: {error.message}" for error in found]


def recipe_schema() -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "recipe.schema.json",
        "title": "A recipe, YAML read as JSON",
        **TypeAdapter(Recipe).json_schema(),
    }


def recipe_schema_text() -> str:
    return json.dumps(recipe_schema(), indent=2, ensure_ascii=False) + "\n"


def test_every_schema_has_an_example_and_the_folder_holds_nothing_else() -> None:
    names = {path.name for path in SPECS.iterdir()}
    examples = {f"{name}.example.json" for name in ALL_FILES if name != "recipe"}
    schemas = {f"{name}.schema.json" for name in (*ALL_FILES, "coco")}
    assert names == examples | schemas | {"recipe.example.yaml", *TABLES, "README.md"}


@pytest.mark.parametrize("name", [*ALL_FILES, "coco"])
def test_every_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("name", ALL_FILES)
def test_every_example_fits_its_schema(name: str) -> None:
    assert errors(name, example(name)) == []


@pytest.mark.parametrize("name", COCO_FILES)
def test_every_example_is_read_and_written_back_as_it_stands(name: str) -> None:
    data = dataset_to_json(read_coco(SPECS / f"{name}.example.json"))
    assert data == example(name)
    assert errors(name, data) == []


def test_the_example_of_cases_is_read_and_written_back_as_it_stands() -> None:
    data = cases_to_json(read_cases(SPECS / "cases.example.json"))
    assert data == example("cases")
    assert errors("cases", data) == []


def test_the_example_of_ultrasound_is_read_and_written_back_as_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lnmdetect.io.ultrasound_files.require_readable", lambda *_: None)
    data = ultrasound_to_json(read_ultrasound(SPECS / "ultrasound.example.json"))
    assert data == example("ultrasound")
    assert errors("ultrasound", data) == []


def test_the_example_of_fused_is_read_and_written_back_as_it_stands() -> None:
    data = fused_to_json(read_fused(SPECS / "fused.example.json"))
    assert data == example("fused")
    assert errors("fused", data) == []


def test_the_example_of_metrics_is_what_eval_says_of_the_other_examples() -> None:
    request = EvalRequest(
        (SPECS / "truth.example.json",), nodes=(SPECS / "nodes.example.json",), bootstrap=200
    )
    assert rounded(evaluate(request).metrics_json()) == rounded(example("metrics"))


def test_metrics_fit_their_schema_with_and_without_classes_boxes_and_truth(tmp_path: Path) -> None:
    truth, nodes = (read_coco(SPECS / f"{name}.example.json") for name in ("truth", "nodes"))
    bare = replace(nodes, info={"coverage": "all_slices"}, annotations=())
    unscored = tuple(replace(node, score=None) for node in nodes.annotations)
    classless = tuple(
        replace(node, category_id=LYMPH_NODE, probabilities=None) for node in nodes.annotations
    )
    cases = {
        "boxes": (truth, read_coco(SPECS / "boxes.example.json")),
        "no_box": (truth, bare),
        "no_truth": (replace(truth, annotations=()), nodes),
        "truth_boxes": (truth, replace(nodes, annotations=unscored)),
        "no_mask_found": (truth, replace(bare, info={"segmenter": {"name": "tiny"}})),
        "masks_without_class": (truth, replace(nodes, annotations=classless)),
        "nothing": (CocoDataset({}, (), ()), CocoDataset({}, (), ())),
    }
    for name, (case_truth, case_found) in cases.items():
        for part, dataset in (("truth", case_truth), ("found", case_found)):
            (tmp_path / f"{name}_{part}.json").write_text(json.dumps(dataset_to_json(dataset)))
        output = tmp_path / f"{name}_metrics.json"
        found = tmp_path / f"{name}_found.json"
        truth_file = (tmp_path / f"{name}_truth.json",)
        evaluate(EvalRequest(truth_file, nodes=(found,), output=output, bootstrap=20))
        assert errors("metrics", json.loads(output.read_text())) == [], name


def test_the_example_of_readers_is_what_eval_says_of_the_other_examples() -> None:
    request = ReadersRequest(
        SPECS / "readers.example.csv",
        model=SPECS / "nodes.example.json",
        truth=SPECS / "truth.example.json",
        bootstrap=200,
    )
    assert rounded(compare_readers(request).to_json()) == rounded(example("readers"))


def fused_result(folder: Path, **changes: Any) -> FusedResult:
    """What eval says of the example of fused.json, and of it with other answers and `changes`."""
    fused = read_fused(SPECS / "fused.example.json")
    others = tuple(
        replace(one, probability=p, case=replace(one.case, **changes))
        for one, p in zip(fused.cases, (0.6, 0.7, 0.2, 0.5), strict=True)
    )
    write_fused(replace(fused, cases=others), folder / "other.json")
    rows = (
        RowFiles("this", (SPECS / "fused.example.json",)),
        RowFiles("other", (folder / "other.json",)),
    )
    return evaluate_fused(FusedRequest(rows, bootstrap=200))


def test_the_example_of_fused_metrics_is_what_eval_says_of_the_example(tmp_path: Path) -> None:
    found = json.loads(json.dumps(fused_result(tmp_path).to_json()))
    assert rounded(found) == rounded(example("fused_metrics"))


def test_figures_of_fused_cases_fit_their_schema_where_they_are_undefined(tmp_path: Path) -> None:
    assert errors("fused_metrics", fused_result(tmp_path, label=None).to_json()) == []
    fused = read_fused(SPECS / "fused.example.json")
    for name, cases in (("one", fused.cases[1:2]), ("none", ())):
        path = tmp_path / f"{name}.json"
        write_fused(replace(fused, cases=cases), path)
        result = evaluate_fused(FusedRequest((RowFiles(None, (path,)),), bootstrap=20))
        assert errors("fused_metrics", result.to_json()) == [], name


def test_comparisons_fit_their_schema_with_and_without_classes(tmp_path: Path) -> None:
    truth, nodes = (read_coco(SPECS / f"{name}.example.json") for name in ("truth", "nodes"))
    unscored = tuple(replace(node, score=None) for node in nodes.annotations)
    others = {
        "fewer": replace(nodes, annotations=nodes.annotations[:2]),
        "truth_boxes": replace(nodes, annotations=unscored),
        "boxes": read_coco(SPECS / "boxes.example.json"),
        "no_box": replace(nodes, annotations=()),
    }
    for name, dataset in others.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(dataset_to_json(dataset)))
        for known in (truth, replace(truth, annotations=())):
            (tmp_path / "truth.json").write_text(json.dumps(dataset_to_json(known)))
            request = CompareRequest(
                SPECS / "nodes.example.json", path, truth=(tmp_path / "truth.json",), bootstrap=20
            )
            found = compare(request).to_json()
            assert errors("comparison", found) == [], name
            assert found.keys() == example("comparison").keys()


def test_the_example_of_a_study_is_read_and_written_back_as_it_stands() -> None:
    assert json.loads(json.dumps(study_from_json(example("study")).to_json())) == example("study")


def test_the_example_of_a_cohorts_table_has_a_row_of_the_example_of_a_study(tmp_path: Path) -> None:
    reason = "series 1.2.3: expected evenly spaced slices, got one missing. Export it again."
    studies = (
        CohortStudy("s-0c4417aa93de6b50", "failed", reason),
        study_from_json(example("study")),
    )
    write_cohort_csv(studies, tmp_path / "cohort.csv")
    assert (tmp_path / "cohort.csv").read_bytes() == (SPECS / "cohort.example.csv").read_bytes()


@pytest.mark.parametrize("status", ["failed", "partial"])
def test_studies_that_are_not_done_fit_their_schema(status: CohortStatus) -> None:
    study = study_from_json(example("study"))
    changed = replace(study, status=status, reason="why")
    failed = replace(changed, figures=None, files={})
    assert errors("study", (failed if status == "failed" else changed).to_json()) == []


def test_folds_fit_their_schema_and_the_example_is_read_and_written_back(tmp_path: Path) -> None:
    write_folds(read_folds(SPECS / "folds.example.json"), tmp_path / "folds.json")
    written = (tmp_path / "folds.json").read_text()
    assert written == (SPECS / "folds.example.json").read_text()
    truth = read_coco(SPECS / "truth.example.json")
    write_folds(deal_as_wang2023(truth, 0), tmp_path / "wang.json")
    assert errors("folds", json.loads((tmp_path / "wang.json").read_text())) == []


def test_a_run_record_fits_its_schema(tmp_path: Path) -> None:
    record = RunRecord("detect", {"device": "auto"}, seed=3)
    record.inputs["scan"] = record.model["compact"] = "0" * 64
    record.lap("open")
    record.write(tmp_path / "run.json")
    written = json.loads((tmp_path / "run.json").read_text())
    assert errors("run", written) == []
    assert written.keys() == example("run").keys()


def test_the_recipe_schema_is_that_of_the_configuration() -> None:
    text = (SPECS / "recipe.schema.json").read_text()
    assert text == recipe_schema_text(), "run: python -m tests.test_data_specs"


def test_the_example_recipe_is_read() -> None:
    text = (SPECS / "recipe.example.yaml").read_text()
    assert parse_recipe(text, where="recipe.example.yaml", arm="detector").name == "my_detector"


def test_every_bundled_recipe_fits_the_schema() -> None:
    recipes = [read_recipe(name, arm) for arm in get_args(Arm) for name in bundled_recipes(arm)]
    assert len(recipes) >= 9
    for recipe in recipes:
        assert errors("recipe", json.loads(recipe.model_dump_json())) == []


ARMS: tuple[Any, ...] = ("detector", "classifier")


def put(data: Any, path: str, value: Any) -> Any:
    """A copy of `data` with `value` at `path`, as `images/0/width`; KeyError removes it."""
    changed = copy.deepcopy(data)
    *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
    place = changed
    for key in parents:
        place = place[key]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return changed


BAD_COCO: tuple[tuple[str, Any], ...] = (
    ("info", KeyError),
    ("info/coverage", "some"),
    ("info/phantom", "yes"),
    ("info/operating_threshold", 2),
    ("info/classifier_threshold", -1),
    ("info/scan_root", ""),
    ("categories/0/name", "liver"),
    ("images", {}),
    ("images/0/id", "1"),
    ("images/0/width", 0),
    ("images/0/height", 1.5),
    ("images/0/file_name", "/x.dcm"),
    ("images/0/file_name", "../x.dcm"),
    ("images/0/file_name", "a/../x.dcm"),
    ("images/0/file_name", "a\\x.dcm"),
    ("images/0/file_name", "C:x.dcm"),
    ("images/0/lnmdetect", KeyError),
    ("images/0/lnmdetect/patient", ""),
    ("images/0/lnmdetect/spacing_mm", [0.5]),
    ("images/0/lnmdetect/spacing_mm", [0.5, 0]),
    ("images/0/lnmdetect/thickness_mm", 0),
    ("annotations/0/bbox", [1, 2, -3, 4]),
    ("annotations/0/bbox", [1, 2, 3]),
    ("annotations/0/bbox", [1, 2, 3, 4, 5]),
    ("annotations/0/bbox", ["1", 2, 3, 4]),
    ("annotations/0/image_id", None),
    ("annotations/0/iscrowd", 2),
    ("annotations/0/score", 1.5),
    ("annotations/0/short_axis_mm", 0),
    ("annotations/0/segmentation", {"size": [4]}),
)
BAD_PARTS: tuple[tuple[str, str, Any], ...] = (
    *((name, path, value) for name in COCO_FILES for path, value in BAD_COCO),
    ("truth", "annotations/0/score", 0.5),
    ("boxes", "annotations/0/score", KeyError),
    ("boxes", "annotations/0/score", 0.04),
    ("boxes", "annotations/0/category_id", 2),
    ("boxes", "info/detector", KeyError),
    ("boxes", "info/detector/sha256", "abc"),
    ("boxes", "info/detector/precision", "fp16"),
    ("boxes", "info/detector/engine", "tensorrt"),
    ("boxes", "info/detector/int8_sha256", {"int8.xml": "a" * 64}),
    ("nodes", "info/classifier/precision", "fp64"),
    ("boxes", "info/operating_threshold", KeyError),
    ("boxes", "info/operating_threshold_chosen_on/truth_sha256", KeyError),
    ("boxes", "info/operating_threshold_chosen_on/patients_sha256/0", "p-3f9a61c2d07b"),
    ("boxes", "info/failed_studies", -1),
    ("boxes", "info/scan_root", KeyError),
    ("nodes", "info/scan_root", KeyError),
    ("nodes", "info/pseudonymised_uids", "yes"),
    ("nodes", "info/classifier/temperature", 0),
    ("nodes", "annotations/0/category_id", 3),
    ("nodes", "annotations/0/probabilities", KeyError),
    ("nodes", "annotations/0/probabilities/metastatic", 1.1),
    ("nodes", "annotations/0/threshold", KeyError),
    ("nodes", "info/classifier_threshold_source", KeyError),
    ("boxes", "info/detector_int8_calibrated_on", {}),
    ("model", "arm", "segmenter"),
    ("model", "weights_sha256", "abc"),
    ("model", "threshold/value", 2),
    ("model", "input/spacing_mm", KeyError),
    ("model", "input/windows_hu/0", [40]),
    ("model", "outputs", []),
    ("model", "classes", ["benign", "metastatic"]),
    ("model", "precision", "int8"),
    ("model", "files", {"weights.pt": "0" * 64}),
    ("metrics", "detection/ap50/value", None),
    ("metrics", "detection/ap50/value", 1.2),
    ("metrics", "detection/ap50", 0.5),
    ("metrics", "detection/froc/points", []),
    ("metrics", "classification/auc", KeyError),
    ("metrics", "classification/confusion/true_positive", -1),
    ("metrics", "end_to_end/ap50/benign", KeyError),
    ("metrics", "thresholds/detector/source", ""),
    ("metrics", "info/truth/0/file", "home/someone/truth.json"),
    ("metrics", "info/phantom", KeyError),
    ("metrics", "surprise", 1),
    ("comparison", "detection/ap50", KeyError),
    ("comparison", "detection/ap50/difference/value", None),
    ("comparison", "classes/delong/p_value", None),
    ("comparison", "classes/delong/p_value", 1.5),
    ("comparison", "classes/mcnemar/all/first_only", -1),
    ("comparison", "a/stamp/file", "home/someone/a.json"),
    ("comparison", "left_out", KeyError),
    ("comparison", "surprise", 1),
    ("readers", "readers", []),
    ("readers", "readers/0/auc_of", "guesses"),
    ("readers", "readers/0/auc/value", 1.2),
    ("readers", "readers/0/against_model/delong/reason", None),
    ("readers", "model/roc", KeyError),
    ("readers", "info/readers/file", "home/someone/readers.csv"),
    ("benchmark", "rows", []),
    ("benchmark", "rows/0/status", "begun"),
    ("benchmark", "rows/0/figures/auc", 0.5),
    ("benchmark", "rows/0/figures/dice", {"value": 0.5}),
    ("benchmark", "rows/0/published/auc", "0.95"),
    ("benchmark", "rows/2/error", None),
    ("benchmark", "correlations/depth/rho", 2),
    ("benchmark", "info/truth/file", "home/someone/truth.json"),
    ("benchmark", "info/phantom", KeyError),
    ("folds", "folds", []),
    ("folds", "folds/0/patients", []),
    ("folds", "folds/0/name", ""),
    ("folds", "info/protocol", "mine"),
    ("folds", "info/protocol", "wang2023"),
    ("folds", "info/truth/file", "home/someone/truth.json"),
    ("folds", "balance/0/deviation", -1),
    ("ultrasound", "cases/0/patient", ""),
    ("ultrasound", "cases/0/finding", KeyError),
    ("ultrasound", "cases/0/label", "malignant"),
    ("ultrasound", "cases/0/bmode/frame", 0),
    ("ultrasound", "cases/0/bmode/frame", "last"),
    ("ultrasound", "cases/0/bmode/file_name", "/x.png"),
    ("ultrasound", "cases/0/bmode/file_name", "a/../x.png"),
    ("ultrasound", "cases/0/ceus", "x.png"),
    ("ultrasound", "cases/0/max_size_mm", 0),
    ("ultrasound", "cases/0/split", "train"),
    ("fused", "info/fusion/threshold", 1.2),
    ("fused", "info/fusion/sha256", "abc"),
    ("fused", "info/fusion/modalities", []),
    ("fused", "info/scan_root", KeyError),
    ("fused", "info/phantom", KeyError),
    ("fused", "info/fusion_trained_on/patients_sha256/0", "p-3f9a1c2b7d5e4068"),
    ("fused", "cases/0/probabilities", KeyError),
    ("fused", "cases/0/probabilities/benign", KeyError),
    ("fused", "cases/0/modalities_used", []),
    ("fused", "cases/0/modalities_used/0", "doppler"),
    ("fused", "cases/0/finding", KeyError),
    ("fused_metrics", "rows", []),
    ("fused_metrics", "rows/0/figures/auc/value", None),
    ("fused_metrics", "rows/0/permutation/auc/p_value", None),
    ("fused_metrics", "rows/0/permutation/auc/p_value", 1.2),
    ("fused_metrics", "rows/0/modalities_used", {"doppler": 2}),
    ("fused_metrics", "rows/0/files/0/file", "/data/fused.json"),
    ("fused_metrics", "differences/0/comparison", None),
    ("fused_metrics", "cohort/numbers/age_years/test/p_value", None),
    ("fused_metrics", "cohort/levels/sex/levels/F", [1]),
    ("fused_metrics", "info/phantom", KeyError),
    ("doctor", "verdict", "fine"),
    ("doctor", "series/0/plane", "oblique"),
    ("doctor", "series/0/contrast", "yes"),
    ("doctor", "scans/0/findings", []),
    ("doctor", "scans/0/findings/0/level", "error"),
    ("doctor", "scans/0/expected/seconds", 0),
    ("doctor", "model/sha256", "abc"),
    ("study", "case", "DOE^JANE"),
    ("study", "status", "missing"),
    ("study", "reason", "why"),
    ("study", "made_with/inputs", KeyError),
    ("study", "made_with/detector", "abc"),
    ("study", "figures", None),
    ("study", "figures/patients", []),
    ("study", "figures/highest_p_metastatic", 1.2),
    ("study", "files", {}),
    ("study", "files", {"DOE^JANE.json": 3}),
    ("study", "surprise", 1),
    ("run", "seed", "0"),
    ("run", "exit_status", 9),
    ("run", "failures", KeyError),
    ("run", "started", "yesterday"),
    ("run", "inputs", {"scan": "abc"}),
    ("run", "packages", KeyError),
    ("recipe", "arm", "something"),
    ("recipe", "optimiser/learning_rate", 0),
    ("recipe", "optimiser/learning_rat", 0.1),
    ("recipe", "input/windows_hu", [[1, 2, 3]]),
    ("recipe", "model/anchor_areas_px2", [1, 2]),
)


@pytest.mark.parametrize(("name", "path", "value"), BAD_PARTS)
def test_a_bad_part_does_not_fit_the_schema(name: str, path: str, value: Any) -> None:
    assert errors(name, put(example(name), path, value))


def test_fields_of_others_are_allowed_in_coco_files() -> None:
    for name in COCO_FILES:
        data = example(name)
        data["licenses"] = []
        for part in (data["images"][0], data["annotations"][0], data["info"]):
            part["attributes"] = {"reader": 1}
        assert errors(name, data) == []


def property_names(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict):
            yield from part["properties"]
        for value in part.values():
            yield from property_names(value)
    elif isinstance(part, list):
        for value in part:
            yield from property_names(value)


def documented_words() -> set[str]:
    code = " ".join(re.findall(r"`([^`]+)`", (SPECS / "README.md").read_text()))
    return set(re.split(r"[^A-Za-z0-9_]+", code))


DOCUMENTED = documented_words()


@pytest.mark.parametrize("name", ["coco", *ALL_FILES[:-1]])
def test_the_readme_has_every_field(name: str) -> None:
    assert set(property_names(schema(name))) - DOCUMENTED == set()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which one phantom went through all stages, with untrained models."""
    from lnmdetect.stages.classify import ClassifyRequest, classify
    from lnmdetect.stages.detect import detect
    from lnmdetect.stages.detect_request import DetectRequest
    from lnmdetect.stages.nodes import NodesRequest, link_nodes
    from lnmdetect.stages.phantom import PhantomRequest, make_ct_phantoms

    folder = tmp_path_factory.mktemp("pipeline")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LNMDETECT_KEY_FILE", str(folder / "key"))
        patch.setenv("LNMDETECT_MODELS", str(folder / "models"))
        make_ct_phantoms(PhantomRequest(1, 3, folder, setting="lifelike", workers=1))
        (patient,) = (folder / "scan").iterdir()
        for file in sorted(patient.iterdir())[2:]:
            file.unlink()
        write_untrained_bundles(folder / "models")
        detect(DetectRequest(Path("scan"), model="untrained", device="cpu"))
        classify(ClassifyRequest(Path("boxes.json"), model="untrained", device="cpu"))
        link_nodes(NodesRequest(Path("nodes.json"), Path("linked_nodes.json"), threshold=0.05))
        evaluate(EvalRequest(output=Path("metrics.json")))
        yield folder


def write_untrained_bundles(folder: Path) -> None:
    import torch

    from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe
    from lnmdetect.core.thresholds import Threshold
    from lnmdetect.io.bundles import Bundle, write_bundle
    from lnmdetect.training.classifier_task import ClassifierTask
    from lnmdetect.training.detector_task import DetectorTask

    torch.manual_seed(0)
    threshold = Threshold(0.5, rule="none", chosen_on="nothing")
    for arm in ARMS:
        recipe = read_recipe("compact", arm)
        task: DetectorTask | ClassifierTask
        if isinstance(recipe, DetectorRecipe):
            task = DetectorTask(recipe, torch.device("cpu"))
        else:
            assert isinstance(recipe, ClassifierRecipe)
            task = ClassifierTask(recipe, torch.device("cpu"))
        place = folder / f"{arm}-untrained"
        bundle = Bundle("untrained", recipe, threshold, True, {}, "", place)
        write_bundle(bundle, task.module.state_dict(), "An untrained model for a test.")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["truth", "boxes", "nodes", "linked_nodes", "metrics"])
def test_what_the_stages_write_fits_its_schema(pipeline: Path, name: str) -> None:
    written = json.loads((pipeline / f"{name}.json").read_text())
    assert errors(name, written) == []
    if name in COCO_FILES:
        assert len(written["annotations"]) > 5
        assert set(written["info"]) <= DOCUMENTED


def test_what_segment_writes_fits_its_schema(
    masked_toy: Path, tmp_path: Path, make_recipe: Callable[..., Path]
) -> None:
    pytest.importorskip("monai", reason="the extra `segmentation` is not installed")
    from lnmdetect.stages.segment import SegmentRequest, segment
    from lnmdetect.stages.train_segmenter import train_segmenter
    from lnmdetect.stages.training_run import TrainRequest

    recipe, run = str(make_recipe("segmenter")), tmp_path / "run"
    data = masked_toy / "truth.json"
    bundle = train_segmenter(TrainRequest(data, recipe, run, device="cpu")).bundle
    for threshold in (None, 0.02):
        output = tmp_path / f"{threshold}.json"
        request = SegmentRequest(masked_toy / "scan", output, str(bundle), threshold=threshold)
        segment(request)
        written = json.loads(output.read_text())
        assert errors("segments", written) == []
        assert set(written["info"]) <= DOCUMENTED
        assert errors("run", json.loads(output.with_suffix(".run.json").read_text())) == []
    assert written["annotations"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["boxes", "nodes", "linked_nodes", "metrics"])
def test_the_run_record_of_each_stage_fits_its_schema(pipeline: Path, name: str) -> None:
    assert errors("run", json.loads((pipeline / f"{name}.run.json").read_text())) == []


if __name__ == "__main__":
    (SPECS / "recipe.schema.json").write_text(recipe_schema_text())
