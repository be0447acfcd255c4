"""`lnmdetect eval` on files broken, or made to break it: a sentence and exit 3, or a note."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lnmdetect.cli import app

Json = dict[str, Any]


def image_json(image_id: int) -> Json:
    block = {
        "patient": f"p{image_id % 3}",
        "series": f"1.{image_id % 3}",
        "sop_instance_uid": f"1.2.{image_id}",
        "slice_index": image_id,
        "position_mm": 2.0 * image_id,
        "spacing_mm": [0.5, 0.5],
    }
    name = f"1.2.{image_id}.dcm"
    return {"id": image_id, "file_name": name, "width": 128, "height": 128, "lnmdetect": block}


def box_json(number: int, **fields: Any) -> Json:
    box = {"id": number, "image_id": number, "category_id": 1 + number % 2, "iscrowd": 0}
    return {**box, "bbox": [10, 10, 20, 20], "area": 400, **fields}


def data_set(info: Json, boxes: list[Json]) -> Json:
    names = ("benign", "metastatic", "lymph_node")
    return {
        "info": info,
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
        "images": [image_json(number) for number in range(1, 7)],
        "annotations": boxes,
    }


def truth_json() -> Json:
    boxes = [
        box_json(k, node_id=f"n{k}", short_axis_mm=8, level="III", kind="oval") for k in range(1, 7)
    ]
    return data_set({"coverage": "all_slices"}, boxes)


def nodes_json() -> Json:
    info = {"operating_threshold": 0.5, "operating_threshold_source": "validation"}
    boxes = [
        box_json(k, score=0.9 - k / 10, threshold=0.5)
        | {"probabilities": {"benign": 0.25 + k % 2 / 2, "metastatic": 0.75 - k % 2 / 2}}
        for k in range(1, 7)
    ]
    return data_set(info, boxes)


@pytest.fixture(autouse=True)
def in_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(name: str, content: bytes | str | Json | list[Any]) -> None:
    if isinstance(content, bytes):
        Path(name).write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content)
        Path(name).write_text(text, encoding="utf-8")


def evaluated(
    *options: str,
    truth: bytes | str | Json | list[Any] | None = None,
    nodes: bytes | str | Json | list[Any] | None = None,
) -> Result:
    put("truth.json", truth_json() if truth is None else truth)
    put("nodes.json", nodes_json() if nodes is None else nodes)
    return CliRunner().invoke(app, ["eval", "--bootstrap", "0", *options])


def refused(result: Result, sentence: str) -> None:
    """Hold the result to one sentence, the given beginning of which names file and record."""
    assert result.exit_code == 3, (result.stderr, result.exception)
    assert result.stderr.startswith(sentence), result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_the_files_are_sound_before_they_are_spoilt() -> None:
    result = evaluated("-o", "metrics.json")
    assert result.exit_code == 0, result.stderr
    assert "1.000" in result.stdout


NOT_A_BOX = "a box on the 128 x 128 image, got one larger than it, or with its centre outside it"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("bbox", [float("nan"), 1, 2, 3], ".bbox[0]: expected JSON text in UTF-8, got NaN, which"),
        ("bbox", [1, 1, float("inf"), 3], ".bbox[2]: expected JSON text in UTF-8, got Infinity, "),
        ("bbox", [1e308, 1, 1e308, 3], f".bbox: expected {NOT_A_BOX}"),
        ("bbox", [300, 10, 20, 20], f".bbox: expected {NOT_A_BOX}"),
        ("bbox", [-15, 10, 20, 20], f".bbox: expected {NOT_A_BOX}"),
        ("bbox", [1, 2, -3, 4], ".bbox: expected [x, y, width, height] with a width and height of"),
        ("bbox", [1, 2, "3", 4], ".bbox[2]: expected a finite number, got text"),
        ("bbox", [1, 2, 3], ".bbox: expected a list of 4 numbers, got a list of 3"),
        ("bbox", {"x": 1}, ".bbox: expected a list of 4 numbers, got an object"),
        ("image_id", 99, ".image_id: expected the id of an image in the file, got 99"),
        ("image_id", "1", ".image_id: expected a whole number of 0 or more, got text"),
        ("image_id", 10**30, ".image_id: expected a whole number of at most 9007199254740992"),
        ("image_id", True, ".image_id: expected a whole number of 0 or more, got true"),
        ("category_id", 9, ".category_id: expected one of [1, 2, 3], got 9"),
        ("score", 1.5, ".score: expected a number in [0, 1], got 1.5"),
        ("score", -0.5, ".score: expected a number in [0, 1], got -0.5"),
        ("score", "0.5", ".score: expected a finite number, got text"),
        ("score", None, ".score: expected a score on every box (detections) or on none"),
        ("probabilities", {"benign": 1}, ".probabilities: expected probabilities with benign and"),
        ("probabilities", {"benign": 0.6, "metastatic": 0.6}, ".probabilities: expected probabili"),
        ("threshold", 2, ".threshold: expected a number in [0, 1], got 2"),
        ("iscrowd", 7, ".iscrowd: expected 0 or 1, got 7"),
        ("area", float("-inf"), ".area: expected JSON text in UTF-8, got -Infinity, which JSON"),
    ],
)
@pytest.mark.parametrize("place", [0, 5])
def test_a_prediction_that_cannot_be_is_refused_by_its_place(
    field: str, value: Any, sentence: str, place: int
) -> None:
    nodes = nodes_json()
    nodes["annotations"][place][field] = value
    refused(evaluated(nodes=nodes), f"nodes.json: annotations[{place}]{sentence}")


def changed(data: Json, *path: str | int, to: Any) -> Json:
    container: Any = data
    for key in path[:-1]:
        container = container[key]
    container[path[-1]] = to
    return data


def without(data: Json, *path: str | int) -> Json:
    container: Any = data
    for key in path[:-1]:
        container = container[key]
    del container[path[-1]]
    return data


BLOCK = ("images", 2, "lnmdetect")


@pytest.mark.parametrize(
    ("truth", "sentence"),
    [
        (
            changed(truth_json(), "annotations", 4, "id", to=1),
            "annotations[4]: expected another id than annotations[0], got the same",
        ),
        (
            changed(truth_json(), "images", 1, "id", to=1),
            "images[1]: expected another id than images[0], got the same",
        ),
        (
            changed(truth_json(), *BLOCK, "sop_instance_uid", to="1.2.1"),
            "images[2]: expected another slice than images[0], got the same",
        ),
        (
            changed(truth_json(), *BLOCK, "patient", to=3),
            "images[2].lnmdetect.patient: expected text that is not empty, got 3",
        ),
        (
            changed(truth_json(), *BLOCK, "spacing_mm", to=[0.5]),
            "images[2].lnmdetect.spacing_mm: expected a list of 2 numbers, got a list of 1",
        ),
        (
            changed(truth_json(), "categories", 0, "name", to="thyroid"),
            "categories[0].name: expected one of benign, metastatic, lymph_node, got another name",
        ),
        (
            changed(truth_json(), "annotations", 3, "short_axis_mm", to=-8),
            "annotations[3].short_axis_mm: expected a number above 0, got -8",
        ),
        (
            changed(truth_json(), "annotations", 3, "short_axis_mm", to=10**4000),
            "annotations[3].short_axis_mm: expected a finite number, got a number out of range",
        ),
        (
            changed(truth_json(), "annotations", 3, "level", to="\ud800"),
            "annotations[3].level: expected JSON text in UTF-8, got half of a surrogate pair",
        ),
        (
            changed(truth_json(), "images", to=[]),
            "annotations[0].image_id: expected the id of an image in the file, got 1",
        ),
        (
            without(truth_json(), "categories"),
            "categories: expected a list, got no such field",
        ),
        (
            changed(truth_json(), "info", "coverage", to="most"),
            "info.coverage: expected all_slices or key_images, got text",
        ),
        (
            changed(truth_json(), "info", to=["all_slices"]),
            "info: expected an object, got a list of 1",
        ),
    ],
)
def test_a_truth_that_cannot_be_is_refused_by_its_place(truth: Json, sentence: str) -> None:
    refused(evaluated(truth=truth), f"truth.json: {sentence}")


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("operating_threshold", "0.5", "operating_threshold: expected a finite number, got text"),
        ("classifier_threshold", 50, "classifier_threshold: expected a number in [0, 1], got 50"),
        ("failed_studies", "one", "failed_studies: expected a whole number of 0 or more, got text"),
        ("failed_studies", [1], "failed_studies: expected a whole number of 0 or more, got a list"),
        ("detector", "compact", "detector: expected an object, got text"),
        ("classifier", [3], "classifier: expected an object, got a list of 1"),
    ],
)
def test_what_a_prediction_file_says_of_itself_is_checked(
    key: str, value: Any, sentence: str
) -> None:
    result = evaluated(nodes=changed(nodes_json(), "info", key, to=value))
    refused(result, f"nodes.json: info.{sentence}")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "expected JSON text in UTF-8, got line 1, column 1: Expecting value"),
        (json.dumps(nodes_json())[:-40], "expected JSON text in UTF-8, got line 1, column"),
        (json.dumps(nodes_json()).encode("utf-16"), "expected JSON text in UTF-8, got a byte that"),
        (b"\0" * 1000, "expected JSON text in UTF-8, got line 1, column 1: Expecting value"),
        (bytes(range(128, 256)), "expected JSON text in UTF-8, got a byte that is not UTF-8 at"),
        ("[" * 100_000 + "]" * 100_000, "expected JSON text in UTF-8, got nesting too deep"),
        ("1" * 5000, "expected JSON text in UTF-8, got a whole number of more than 4300 digits"),
        ("null", "expected a COCO data set (an object with images, categories and annotations)"),
        ("{}", "images: expected a list, got no such field"),
        ([[1, 2], [3]], "[0]: expected an object, got a list of 2"),
        ([7], "[0]: expected an object, got 7"),
        ([{"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]}], "[0].score: expected a finite"),
        (
            [{"image_id": 77, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}],
            "[0].image_id: expected the id of an image in the file, got 77",
        ),
        (
            json.dumps(nodes_json()).replace('"score": 0.8', '"score": 0.9, "score": 0.8'),
            "annotations[0]: expected JSON text in UTF-8, got an object with two fields of",
        ),
        (
            json.dumps(nodes_json()).replace('"score": 0.8', '"score": 1e400'),
            "annotations[0].score: expected a finite number, got a number out of range",
        ),
    ],
)
def test_text_that_is_no_file_of_predictions_is_refused(
    content: bytes | str | list[Any], sentence: str
) -> None:
    got = evaluated(nodes=content)
    refused(got, f"nodes.json: {sentence}")


def test_a_folder_in_place_of_a_file_is_refused() -> None:
    put("truth.json", truth_json())
    Path("nodes.json").mkdir()
    result = CliRunner().invoke(app, ["eval", "--nodes", "nodes.json"])
    refused(result, "nodes.json: expected a file, got a folder")


def test_a_file_without_permission_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def locked(path: Path, *mode: Any, **options: Any) -> Any:
        if path.name == "nodes.json":
            raise PermissionError(13, "Permission denied")
        return opened(path, *mode, **options)

    put("truth.json", truth_json())
    put("nodes.json", nodes_json())
    monkeypatch.setattr(Path, "open", locked)
    result = CliRunner().invoke(app, ["eval"])
    refused(result, "nodes.json: expected a JSON file that can be read, got Permission denied")


def test_a_file_whose_name_is_no_text_is_refused() -> None:
    put("nodes.json", nodes_json())
    put("tr\udcffuth.json", truth_json())
    result = CliRunner().invoke(app, ["eval", "--truth", "tr\udcffuth.json", "-o", "metrics.json"])
    refused(result, "tr\\udcffuth.json: expected a file whose name is text in UTF-8")
    assert not Path("metrics.json").exists()


def test_a_slice_of_another_size_is_refused_with_its_file() -> None:
    result = evaluated(nodes=changed(nodes_json(), "images", 2, "width", to=256))
    refused(result, "nodes.json: images[2]: expected 128 x 128 px, as in the other file, got 256 x")


def with_a_strange_slice() -> Json:
    nodes = nodes_json()
    nodes["images"].append(image_json(9))
    nodes["annotations"].append({**nodes["annotations"][0], "id": 9, "image_id": 9})
    return nodes


def test_boxes_on_a_slice_that_truth_of_all_slices_does_not_list_are_an_error() -> None:
    result = evaluated(nodes=with_a_strange_slice())
    refused(result, "nodes.json: annotations[6].image_id: expected a slice that the truth file,")
    assert "got images[6] (1.2.9), which it does not list" in result.stderr


def test_boxes_on_a_slice_that_truth_of_key_images_does_not_list_are_counted() -> None:
    truth = changed(truth_json(), "info", "coverage", to="key_images")
    result = evaluated("--json", truth=truth, nodes=with_a_strange_slice())
    assert result.exit_code == 0, result.stderr
    info = json.loads(result.stdout)["info"]
    assert any("1 box of nodes.json is not scored" in note for note in info["notes"])


def test_slices_that_the_predictions_do_not_list_are_counted() -> None:
    nodes = nodes_json()
    for records in ("images", "annotations"):
        nodes[records].pop()
    result = evaluated("--json", nodes=nodes)
    assert result.exit_code == 0, result.stderr
    notes = json.loads(result.stdout)["info"]["notes"]
    assert any("1 truth image is not in nodes.json" in note for note in notes)


STEERING = "\x1b[31mIII\x9b2J\u202e[/bold]"
SHOWN = "\\x1b[31mIII\\x9b2J\\u202e[/bold]"


def test_no_text_of_a_file_steers_the_terminal() -> None:
    truth = changed(truth_json(), "annotations", 0, "level", to=STEERING)
    nodes = changed(nodes_json(), "info", "operating_threshold_source", to=STEERING)
    result = evaluated("--by", "level", truth=truth, nodes=nodes)
    assert result.exit_code == 0, result.stderr
    assert f"│ {SHOWN} │" in result.stdout
    assert f"nodes.json, from {SHOWN})" in " ".join(result.stdout.split())
    strange = changed(
        with_a_strange_slice(), "images", 6, "lnmdetect", "sop_instance_uid", to=STEERING
    )
    refused_with_it = evaluated(nodes=strange)
    assert f"got images[6] ({SHOWN})" in refused_with_it.stderr
    for said in (result.stdout, refused_with_it.stderr):
        assert not any(character in said for character in "\x1b\x9b\u202e")


@pytest.mark.parametrize("value", [["a"], {"a": [1]}, 3, True, "", "x" * 5000, "a\nb", 1e308])
def test_a_column_of_mixed_values_makes_groups_and_no_crash(value: Any) -> None:
    truth = changed(truth_json(), *BLOCK, "scanner", to=value)
    result = evaluated("--by", "scanner", "-o", "metrics.json", truth=truth)
    assert result.exit_code == 0, result.stderr
    json.loads(Path("metrics.json").read_text("utf-8"))


def test_five_thousand_boxes_on_one_slice_are_scored_in_seconds() -> None:
    crowd = [{"image_id": 1, "score": 0.5, "id": 100 + k} for k in range(5_000)]
    truth, nodes = truth_json(), nodes_json()
    for data in (truth, nodes):
        data["annotations"] += [{**data["annotations"][0], **box} for box in crowd]
    start = time.perf_counter()
    result = evaluated("--ap50", truth=truth, nodes=nodes)
    assert result.exit_code == 0, result.stderr
    assert time.perf_counter() - start < 20


JUNK = {
    "spaces": (" ", 200_000_000, ""),
    "lists": ("[],", 66_000_000, "[]]"),
    "numbers": ("1.5,", 50_000_000, "0]"),
    "texts": ('"ab",', 40_000_000, "0]"),
    "objects": ('{"id":1},', 22_000_000, "{}]"),
    "open": ("[", 200_000_000, ""),
    "digits": ("1", 200_000_000, ""),
}
MEASURED = """
import atexit, sys
from pathlib import Path
from lnmdetect.cli import main
peak = lambda: [l for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l][0]
atexit.register(lambda: print(peak(), file=sys.stderr))
sys.argv = ["lnmdetect", "eval"]
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
@pytest.mark.parametrize("kind", JUNK)
def test_two_hundred_megabytes_of_junk_end_with_a_sentence(kind: str) -> None:
    piece, times, end = JUNK[kind]
    put("truth.json", truth_json())
    with Path("nodes.json").open("w") as stream:
        stream.write("" if piece in " 1" else "[")
        for _ in range(100):
            stream.write(piece * (times // 100))
        stream.write(end)
    start = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", MEASURED], capture_output=True, text=True, check=False, timeout=300
    )
    Path("nodes.json").unlink()
    sentence, peak = run.stderr.splitlines()
    assert run.returncode == 3
    assert sentence.startswith("nodes.json: ")
    assert time.perf_counter() - start < 60
    assert int(peak.split()[1]) < 3.6e6  # kB
