"""Where a training runs."""

from pathlib import Path

import pytest
import torch

from lnmdetect.io.recipes import read_recipe
from lnmdetect.stages import training_fit
from lnmdetect.stages.training_run import TrainRequest


@pytest.mark.parametrize(("name", "chosen"), [("cuda", []), ("cuda:1", ["cuda:1"]), ("cpu", [])])
def test_only_a_gpu_with_a_number_is_made_the_current_one(
    monkeypatch: pytest.MonkeyPatch, name: str, chosen: list[str]
) -> None:
    made_current: list[str] = []
    monkeypatch.setattr(training_fit, "choose_device", torch.device)
    monkeypatch.setattr(training_fit, "limit_threads", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: made_current.append(str(device)))
    request = TrainRequest(Path("truth.json"), "compact", Path("run"), device=name)
    device = training_fit.start_compute(request, read_recipe("compact", "detector"))
    assert device == torch.device(name)
    assert made_current == chosen
