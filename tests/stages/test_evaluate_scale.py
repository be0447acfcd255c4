"""`lnmdetect eval` on many scans: time and memory grow with the files, and a terminal sees it move.

The whole size is 1,000 scans of 100 slices with five boxes a slice; here a tenth of it is run.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SLICES = 100
BOXES_A_SLICE = 5
SHARE_OF_THE_WHOLE = 0.1
WHOLE_SECONDS, WHOLE_GB = 90, 3.0
IMAGE = (
    '{{"id": {id}, "file_name": "{uid}.dcm", "width": 512, "height": 512, "lnmdetect": '
    '{{"patient": "p-{scan:012x}", "series": "2.25.{scan}", "sop_instance_uid": "{uid}", '
    '"slice_index": {index}, "position_mm": {index}, "spacing_mm": [0.45, 0.45], '
    '"thickness_mm": 1.0, "scanner": "{scanner}"}}}}'
)
BOX = (
    '{{"id": {id}, "image_id": {image}, "category_id": {category}, '
    '"bbox": [{x:.3f}, {y:.3f}, {side}, {side}], "area": {area}, "iscrowd": 0, {more}}}'
)
TRUTH_MORE = '"node_id": "n{node}", "short_axis_mm": {axis:.2f}, "level": "{level}"'
FOUND_MORE = (
    '"score": {score:.6f}, "threshold": 0.5, '
    '"probabilities": {{"benign": {benign:.6f}, "metastatic": {metastatic:.6f}}}'
)


@dataclass
class Lines:
    """The records of truth.json and nodes.json as text, written without building them first."""

    chance: random.Random
    images: list[str] = field(default_factory=list)
    truth: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)

    def add_scan(self, scan: int) -> None:
        nodes = [self._node(number) for number in range(self.chance.choice((1, 2, 3)))]
        for index in range(SLICES):
            number = len(self.images) + 1
            uid, scanner = f"2.25.{10**20 + number}", "ABC"[scan % 3]
            self.images.append(
                IMAGE.format(id=number, uid=uid, scan=scan, index=index, scanner=scanner)
            )
            self._add_boxes(number, nodes)

    def _node(self, number: int) -> dict[str, float | str]:
        x, y = self.chance.uniform(60, 440), self.chance.uniform(60, 440)
        side = self.chance.choice((10, 14, 22, 34))
        category, level = self.chance.choice((1, 2)), self.chance.choice(("II", "III", "IV"))
        known = {"category": category, "side": side, "area": side * side, "axis": side * 0.45}
        return {**known, "node": number, "x": x, "y": y, "level": level}

    def _add_boxes(self, image: int, nodes: list[dict[str, float | str]]) -> None:
        for node in nodes:
            more = TRUTH_MORE.format(**node)
            self.truth.append(BOX.format(id=len(self.truth) + 1, image=image, more=more, **node))
        for place in range(BOXES_A_SLICE):
            hit = place < len(nodes) and self.chance.random() < 0.8
            self._add_found(image, nodes[place] if hit else self._node(0), hit=hit)

    def _add_found(self, image: int, near: dict[str, float | str], *, hit: bool) -> None:
        shift = self.chance.gauss(0, 1)
        leaning = (0.65 if near["category"] == 2 else 0.35) + self.chance.gauss(0, 0.15)
        metastatic = round(min(max(leaning, 0.0), 1.0), 6)
        score = self.chance.uniform(0.3, 1.0) if hit else self.chance.uniform(0.05, 0.6)
        more = FOUND_MORE.format(score=score, benign=1 - metastatic, metastatic=metastatic)
        moved = {**near, "x": float(near["x"]) + shift, "category": 1 + (metastatic >= 0.5)}
        self.found.append(BOX.format(id=len(self.found) + 1, image=image, more=more, **moved))

    def write(self, folder: Path) -> None:
        phantom: dict[str, object] = {"phantom": True}
        thresholds: dict[str, object] = {
            "operating_threshold": 0.5,
            "operating_threshold_source": "validation",
        }
        for name, info, boxes in (
            ("truth.json", phantom, self.truth),
            ("nodes.json", thresholds, self.found),
        ):
            with (folder / name).open("w", encoding="utf-8") as stream:
                stream.writelines(_file(info, self.images, boxes))


def _file(info: dict[str, object], images: list[str], boxes: list[str]) -> Iterator[str]:
    names = ("benign", "metastatic", "lymph_node")
    categories = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    yield f'{{"info": {json.dumps(info)}, "categories": {json.dumps(categories)},\n"images": [\n'
    yield ",\n".join(images)
    yield '\n],\n"annotations": [\n'
    yield ",\n".join(boxes)
    yield "\n]}\n"


def write_cohort(folder: Path, scans: int) -> None:
    folder.mkdir()
    lines = Lines(random.Random(scans))
    for scan in range(scans):
        lines.add_scan(scan)
    lines.write(folder)


MEASURED = """
import atexit, json, resource, sys
from pathlib import Path

def cost():
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = next(l for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l)
    print(json.dumps([used.ru_utime + used.ru_stime, int(peak.split()[1]) / 1e6]), file=sys.stderr)

atexit.register(cost)
from lnmdetect.cli import main
sys.argv = ["lnmdetect", "eval", "-o", "metrics.json", "--quiet"]
main()
"""


def cost_of_eval(folder: Path) -> tuple[float, float]:
    """The seconds of one processor and the most GB of memory that `lnmdetect eval` takes."""
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    run = subprocess.run(
        [sys.executable, "-c", MEASURED],
        cwd=folder,
        env=os.environ | one_thread,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert run.returncode == 0, run.stderr
    seconds, gigabytes = json.loads(run.stderr.splitlines()[-1])
    return seconds, gigabytes


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_time_and_memory_grow_with_the_number_of_scans(tmp_path: Path) -> None:
    costs = {}
    for scans in (50, 100):
        write_cohort(tmp_path / f"{scans}", scans)
        costs[scans] = cost_of_eval(tmp_path / f"{scans}")
    (few_seconds, _), (seconds, gigabytes) = costs.values()
    assert seconds < 3 * few_seconds, costs
    assert seconds < 2 * WHOLE_SECONDS * SHARE_OF_THE_WHOLE, costs  # slower machines too
    assert gigabytes < WHOLE_GB * SHARE_OF_THE_WHOLE, costs
    found = json.loads((tmp_path / "100" / "metrics.json").read_bytes())
    assert found["info"]["images"] == 100 * SLICES


def test_a_terminal_sees_how_far_the_evaluation_is(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="no terminals here")
    write_cohort(tmp_path / "one", 1)
    reader, writer = pty.openpty()
    command = [sys.executable, "-m", "lnmdetect", "eval", "--ap50"]
    run = subprocess.Popen(
        command,
        cwd=tmp_path / "one",
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=writer,
    )
    os.close(writer)
    stdout, _ = run.communicate(timeout=60)
    seen = _everything(reader).decode("utf-8", "replace")
    assert run.returncode == 0, seen
    assert "evaluating" in seen
    assert "evaluating" not in stdout.decode("utf-8")


def _everything(reader: int) -> bytes:
    """What was written to the terminal; reading past its end is an error on Linux."""
    parts = []
    try:
        while part := os.read(reader, 1 << 16):
            parts.append(part)
    except OSError:
        pass
    finally:
        os.close(reader)
    return b"".join(parts)
