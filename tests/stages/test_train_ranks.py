"""Several processes train as one with the same global batch: curves, resuming, ends."""

import csv
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from lnmdetect.core.errors import UsageError
from lnmdetect.io.bundles import read_bundle
from lnmdetect.io.machine import RankPlace
from lnmdetect.training.ranks import join_ranks

Fields = Callable[..., dict[str, Any]]
Job = dict[str, Any]
Ran = list[tuple[int, str]]
WORKER = Path(__file__).with_name("rank_worker.py")
ROOT = Path(__file__).parents[2]
WAIT_S = 240
SGD = {"name": "sgd", "learning_rate": 0.01, "batch_size": 4, "steps_an_epoch": 3, "epochs": 2}
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    # All proposals that are left of 40, of each image another number.
    "faster_rcnn": ("detector", {"norm": "group", "roi_samples": 64}),
    "ssd": ("detector", {"norm": "group", "architecture": "ssd"}),
    "fcos": ("detector", {"norm": "group", "architecture": "fcos"}),
    "classifier": ("classifier", {"norm": "group", "dropout": 0.5}),
    "fusion": ("fusion", {"norm": "group", "dropout": 0.5, "modality_dropout": 0.5}),
    "segmenter": ("segmenter", {"loss": "conditional"}),
}


@pytest.fixture(scope="module")
def make_job(
    toy_data: Path,
    masked_toy: Path,
    ultrasound_toy: Path,
    recipe_fields: Fields,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Job]:
    """A function that gives the job of a row of `RECIPES`, writing into the folder `run`."""
    folder = tmp_path_factory.mktemp("ranks")
    data = {
        "fusion": ultrasound_toy / "ultrasound.json",
        "segmenter": masked_toy / "truth.json",
    }

    def make(name: str, run: str, **changes: Any) -> Job:
        arm, model = RECIPES[name]
        fields = recipe_fields(arm, model=model, optimiser=SGD)
        recipe = folder / f"{name}.yaml"
        recipe.write_text(yaml.safe_dump(fields), encoding="utf-8")
        paths = {"data": data.get(arm, toy_data / "truth.json"), "recipe": recipe}
        paths["output"] = folder / run / name
        return {"arm": arm, **{key: str(path) for key, path in paths.items()}, **changes}

    return make


def environment(rank: int, count: int, port: int) -> dict[str, str]:
    """What torchrun tells a process; nothing of ranks to one that is alone."""
    told: dict[str, object] = {"PYTHONPATH": ROOT, "OMP_NUM_THREADS": 1}
    if count > 1:
        told |= {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": count}
        told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {**os.environ, **{name: str(value) for name, value in told.items()}}


def train(ranks: int, *jobs: Job) -> Ran:
    """Exit code and last words of each rank, all of which do the jobs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    file = Path(jobs[0]["output"]).parent / f"jobs{ranks}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(jobs), encoding="utf-8")
    processes = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(file)],
            env=environment(rank, ranks, port),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]
    try:
        said = [process.communicate(timeout=WAIT_S)[1].strip() for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, words) for p, words in zip(processes, said, strict=True)]


def curves(folder: Path) -> list[dict[str, float]]:
    with (folder / "curves.csv").open(newline="") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    times = ("seconds", "loader_wait_share")
    return [{k: v for k, v in row.items() if k not in times} for row in rows]


def require_same_training(one: Path, other: Path, *, rel: float = 1e-4) -> None:
    """Require losses, figures and weights of two trainings to be as near as single precision."""
    assert len(curves(one)) == len(curves(other)) == 2
    for first, second in zip(curves(one), curves(other), strict=True):
        assert second == pytest.approx(first, rel=rel)
    weights, others = (load_file(folder / "kept.safetensors") for folder in (one, other))
    for name, value in weights.items():
        gap = float((value.double() - others[name].double()).abs().max())
        assert gap <= rel * max(1.0, float(value.abs().max())), name


@pytest.fixture(scope="module")
def trained(make_job: Callable[..., Job]) -> dict[str, tuple[Path, Path]]:
    """The folders of each recipe's training by one process and by two ranks."""
    ones, twos = ([make_job(name, run) for name in RECIPES] for run in ("one", "two"))
    assert train(1, *ones) == [(0, "")]
    assert train(2, *twos) == [(0, ""), (0, "")]
    jobs = zip(RECIPES, ones, twos, strict=True)
    return {name: (Path(one["output"]), Path(two["output"])) for name, one, two in jobs}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_two_ranks_train_as_one_process_with_the_whole_batch(
    trained: Mapping[str, tuple[Path, Path]], name: str
) -> None:
    one, two = trained[name]
    require_same_training(one, two)
    assert read_bundle(str(two / "bundle"), RECIPES[name][0]).figures  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_rank_that_is_told_to_end_ends_all_with_a_checkpoint_and_both_resume(
    trained: Mapping[str, tuple[Path, Path]], make_job: Callable[..., Job]
) -> None:
    job = make_job("classifier", "resumed", befalls="SIGTERM", rank=1)
    assert train(2, job) == [(130, ""), (130, "")]
    folder = Path(job["output"])
    assert (folder / "last.pt").is_file()
    assert not (folder / "bundle").exists()
    assert train(2, make_job("classifier", "resumed", resume=True)) == [(0, ""), (0, "")]
    _, two = trained["classifier"]
    require_same_training(two, folder, rel=1e-12)


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_the_other_with_a_sentence(
    make_job: Callable[..., Job],
) -> None:
    (alive, said), (killed, _) = train(
        2, make_job("classifier", "killed", befalls="SIGKILL", rank=1)
    )
    assert killed == -9
    assert alive == 1
    assert re.search(r"rank 0: expected an answer of every other rank, .*with --resume\.", said)


def test_a_batch_that_the_processes_cannot_divide_is_refused() -> None:
    with pytest.raises(UsageError, match=r"batch_size: expected a multiple of the 3 processes.*8"):
        join_ranks(RankPlace(rank=0, count=3), 8)
