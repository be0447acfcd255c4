"""`make weights`: phantoms made, the compact models trained from scratch, bundles installed.

Everything is done through the commands a user has. Trainings on the same patients run side by side,
each on its share of the cores: two processes of one thread beat one of two (design, section 9).
"""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from lnmdetect.core.errors import LnmDetectError
from lnmdetect.datasets.merge import merge_datasets
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.machine import usable_cores

WORK = Path("build/weights")
MODEL = "compact"


@dataclass(frozen=True)
class PhantomPart:
    """A set of phantom patients to learn from; no other set of the project has its seed.

    Attributes:
        setting: of `phantom ct`; None: of `phantom ultrasound`, which has one alone.
    """

    setting: str | None
    patients: int
    seed: int


@dataclass(frozen=True)
class TrainingSet:
    """What arms that are trained on the same patients learn from; `name` is its folder's."""

    name: str
    arms: tuple[str, ...]
    parts: tuple[PhantomPart, ...]


SETS = (
    TrainingSet(
        "boxes",
        ("detector", "classifier"),
        (PhantomPart("training", 140, 1000), PhantomPart("lifelike", 70, 2000)),
    ),
    TrainingSet(
        "masks",
        ("segmenter",),
        (PhantomPart("training", 70, 3000), PhantomPart("lifelike", 110, 3100)),
    ),
    TrainingSet("ultrasound", ("fusion",), (PhantomPart(None, 1000, 3200),)),
)
"""Wide variation for other scanners, and lifelike scans; docs/benchmarks.md and
evaluation use others: 4000, 4500, and seeds from 9000 on."""
CHECKED_ARMS = ("detector", "classifier")
CHECK = PhantomPart("lifelike", 40, 9300)
"""Held-out patients on whom bf16 is held against fp32; nothing else of the project is."""


def make_weights(work: Path = WORK, installed: Path | None = None) -> None:
    """Make phantoms, train all arms and put the bundles into the package.

    What is there already of an earlier, broken-off call is used: phantoms that were finished, and
    trainings from their last checkpoint.

    Args:
        work: folder for phantoms and runs, 20 GB.
        installed: folder that receives the bundles; None is the package's own.

    Raises:
        LnmDetectError: a step failed; its own message stands above.
    """
    folder = installed or Path(str(resources.files("lnmdetect") / "weights"))
    for group in SETS:
        place = work / group.name
        _train_side_by_side(group.arms, _data_of(group, place), place)
        for arm in group.arms:
            bundle, target = _checked(arm, place / arm / "bundle", work), folder / f"{arm}-{MODEL}"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(bundle, target)


def _checked(arm: str, bundle: Path, work: Path) -> Path:
    """Return the bundle that answers in bf16 by default, where its figures allow that."""
    if arm not in CHECKED_ARMS:
        return bundle
    phantoms = work / "check"
    truth = _make_scans([(CHECK, phantoms / "lifelike")], phantoms)
    faster = bundle.parent / "checked" / f"{arm}-{MODEL}"
    command = f"models check {arm} {truth} --model {bundle} -o {faster} --overwrite --json"
    process = _start(command, stdout=subprocess.PIPE)
    said, _ = process.communicate()
    if process.returncode and not _says_moved(said):
        _refuse_failure([process.returncode])
    return bundle if process.returncode else faster


def _says_moved(said: bytes) -> bool:
    """Return whether a check compared its figures, of which one did not hold.

    Its status is then that of every fault of a model; only a check that came to its end says more.
    """
    return bool(said) and json.loads(said)["held"] is False


def _data_of(group: TrainingSet, place: Path) -> Path:
    """Return the file to train from after making its phantoms."""
    scans = [(part, place / part.setting) for part in group.parts if part.setting]
    return _make_scans(scans, place) if scans else _make_ultrasound(group.parts[0], place)


def _make_ultrasound(part: PhantomPart, place: Path) -> Path:
    data = place / "ultrasound.json"
    if not data.is_file():
        options = f"--patients {part.patients} --seed {part.seed}"
        _finish([_start(f"phantom ultrasound {options} -o {place} --overwrite")])
    return data


def _make_scans(parts: Sequence[tuple[PhantomPart, Path]], place: Path) -> Path:
    for part, folder in parts:
        if not (folder / "truth.json").is_file():
            options = f"--patients {part.patients} --seed {part.seed} --setting {part.setting}"
            _finish([_start(f"phantom ct {options} -o {folder} --overwrite")])
    merged = place / "truth.json"
    together = merge_datasets([read_coco(folder / "truth.json") for _, folder in parts], ".")
    info = {**together.info, "phantoms": [vars(part) for part, _ in parts]}
    write_coco(replace(together, info=info), merged, overwrite=True)
    return merged


def _train_side_by_side(arms: Sequence[str], truth: Path, place: Path) -> None:
    threads = max(1, usable_cores() // len(arms))
    begun = []
    for arm in arms:
        again = "--resume" if (place / arm / "last.pt").is_file() else "--overwrite"
        begun.append(
            _start(f"train {arm} --data {truth} --recipe {MODEL} -o {place / arm} {again}", threads)
        )
    _finish(begun)


def _start(
    arguments: str, threads: int | None = None, stdout: int | None = None
) -> "subprocess.Popen[bytes]":
    logging.getLogger(__name__).info("lnmdetect %s", arguments)
    environment = dict(os.environ)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, "-m", "lnmdetect", *arguments.split()]
    return subprocess.Popen(command, env=environment, stdout=stdout)


def _finish(processes: "list[subprocess.Popen[bytes]]") -> None:
    _refuse_failure([process.wait() for process in processes])


def _refuse_failure(codes: Sequence[int]) -> None:
    if any(codes):
        raise LnmDetectError(
            "make weights",
            expected="every step to end with status 0",
            got=f"statuses {codes}",
            remedy="See the messages above; a second call goes on from there.",
        )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    make_weights()
