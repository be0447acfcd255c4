"""Trainings in single precision in one process: `python rank_worker.py JOBS.json`.

Whether the process is one of several is in its environment, as torchrun has it. A job has an arm,
the paths `data`, `recipe` and `output`, and maybe `befalls`: a signal that the rank `rank` gets
before the third step of the run; `resume` goes on.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lnmdetect.core.errors import LnmDetectError
from lnmdetect.core.thresholds import Threshold
from lnmdetect.stages import train_classifier, train_detector, train_fusion, training_fit
from lnmdetect.stages.training_run import TrainRequest
from lnmdetect.training.devices import Compute


class Befalls:
    """A progress during which the process may get a signal."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        is_here = str(job.get("rank")) == os.environ.get("RANK")
        self.signal = signal.Signals[job["befalls"]] if is_here else None

    def track(
        self, items: Iterable[Any], *, description: str, total: int | None = None
    ) -> Iterator[Any]:
        for number, item in enumerate(items):
            if self.signal and description == "training" and number == 2:
                os.kill(os.getpid(), self.signal)
            yield item


def run(job: Mapping[str, Any]) -> None:
    """Do one job."""
    request = TrainRequest(
        Path(job["data"]),
        job["recipe"],
        Path(job["output"]),
        device="cpu",
        seed=3,
        resume=job.get("resume", False),
    )
    if job["arm"] == "detector":
        train_detector.train_detector(request, Befalls(job))
    elif job["arm"] == "classifier":
        train_classifier.train_classifier(request, Befalls(job))
    elif job["arm"] == "fusion":
        train_fusion.train_fusion(request, Befalls(job))
    else:
        from lnmdetect.stages.train_segmenter import train_segmenter

        train_segmenter(request, Befalls(job))


def main(jobs: str) -> None:
    """Do all jobs; a detector's threshold is given, since it finds no node yet."""
    training_fit.__dict__["training_compute"] = lambda device: Compute(device, "fp32")
    chosen = Threshold(0.25, "a rule", "validation patients")
    train_detector.__dict__["choose_threshold"] = lambda *_, **__: (chosen, {})
    for job in json.loads(Path(jobs).read_text(encoding="utf-8")):
        run(job)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except LnmDetectError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)
