"""ImageNet weights: loaded through torchvision's code, refused in one line without a network."""

from typing import Any
from urllib.error import URLError

import pytest
import torch
from torchvision.models import resnet50, wide_resnet50_2
from torchvision.models._api import WeightsEnum

from lnmdetect.core.errors import ModelError, UsageError
from lnmdetect.io.imagenet import load_imagenet_body
from lnmdetect.models.coordinate_attention import CoordinateAttention
from lnmdetect.models.resnet import ResNet50


def serve(monkeypatch: pytest.MonkeyPatch, state: dict[str, torch.Tensor]) -> list[str]:
    """Hand out `state` in place of a download; gives the files asked for."""
    asked: list[str] = []

    def get(weights: Any, *_: Any, **__: Any) -> dict[str, torch.Tensor]:
        asked.append(weights.url.rsplit("/", 1)[-1])
        return state

    monkeypatch.setattr(WeightsEnum, "get_state_dict", get)
    return asked


def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", refuse)


@pytest.mark.parametrize(
    ("factor", "file"), [(1, "resnet50-0676ba61.pth"), (2, "wide_resnet50_2-95faca4d.pth")]
)
def test_without_a_network_one_line_names_the_file_to_provide(
    factor: int, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(monkeypatch)
    with torch.device("meta"):
        body = ResNet50(factor=factor)
    with pytest.raises(
        ModelError, match=f"--init imagenet: expected a network, or {file}"
    ) as error:
        load_imagenet_body(body, "imagenet")
    assert error.value.exit_code == 4
    assert "\n" not in str(error.value)
    assert f"Copy {file} there" in str(error.value)


def test_the_plain_body_is_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    theirs = resnet50(weights=None).state_dict()
    asked = serve(monkeypatch, theirs)
    body = ResNet50()
    load_imagenet_body(body, "imagenet")
    assert asked == ["resnet50-0676ba61.pth"]
    assert all(torch.equal(value, theirs[name]) for name, value in body.state_dict().items())


@pytest.mark.slow
def test_the_wide_body_keeps_its_own_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = wide_resnet50_2(weights=None).state_dict()
    asked = serve(monkeypatch, theirs)
    body = ResNet50(factor=2, attention=CoordinateAttention)
    before = {k: v.clone() for k, v in body.state_dict().items() if "attention" in k}
    load_imagenet_body(body, "imagenet")
    assert asked == ["wide_resnet50_2-95faca4d.pth"]
    after = body.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert torch.equal(after["layer3.5.conv2.weight"], theirs["layer3.5.conv2.weight"])


@pytest.mark.parametrize(("channels", "width"), [(5, 1.0), (3, 0.25)])
def test_a_body_of_another_size_is_refused(
    channels: int, width: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, resnet50(weights=None).state_dict())
    with pytest.raises(ModelError, match="expected a recipe of width 1 with three input channels"):
        load_imagenet_body(ResNet50(channels, width=width), "imagenet")


def test_weights_that_leave_layers_out_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    state = resnet50(weights=None).state_dict()
    del state["layer2.0.conv1.weight"]
    serve(monkeypatch, state)
    with pytest.raises(ModelError, match=r"got layer2\.0\.conv1\.weight left out"):
        load_imagenet_body(ResNet50(), "imagenet")


def test_another_name_is_refused() -> None:
    with pytest.raises(UsageError, match="--init: expected imagenet, got 'coco'"):
        load_imagenet_body(ResNet50(width=0.125), "coco")
