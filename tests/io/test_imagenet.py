"""ImageNet weights: loaded through the libraries' code, refused in one line where they cannot be.

Nothing here reaches a network: every connection fails as it does on a machine without one.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from huggingface_hub import constants as hub
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet50, wide_resnet50_2
from torchvision.models._api import WeightsEnum

from lnmdetect.core.errors import ModelError, UsageError
from lnmdetect.io import imagenet
from lnmdetect.io.imagenet import load_imagenet, load_imagenet_body
from lnmdetect.models.backbones import BACKBONES, ClassifierSizes
from lnmdetect.models.coordinate_attention import CoordinateAttention
from lnmdetect.models.resnet import ResNet50

State = dict[str, Tensor]
SHUFFLENET_FILE = "shufflenetv2_x1-5666bf0f80.pth"


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of both libraries, in a folder of the test's own, and no network."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def serve(monkeypatch: pytest.MonkeyPatch, state: State) -> list[str]:
    """Hand out `state` in place of a download; gives the files asked for."""
    asked: list[str] = []

    def get(weights: Any, *_: Any, **__: Any) -> State:
        asked.append(weights.url.rsplit("/", 1)[-1])
        return state

    monkeypatch.setattr(WeightsEnum, "get_state_dict", get)
    return asked


def network(name: str, in_channels: int = 3, seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return BACKBONES[name].build(ClassifierSizes(in_channels=in_channels))


def fill(module: nn.Module, name: str, init: str = "imagenet") -> None:
    load_imagenet(module, BACKBONES[name].imagenet(ClassifierSizes()), init)


def published(name: str) -> State:
    """What the library would publish for a network: 1000 classes, other values than ours."""
    torch.manual_seed(2)
    if name == "shufflenetv2":
        state: State = torchvision.models.shufflenet_v2_x1_0(weights=None).state_dict()
    else:
        state = timm.create_model("mobilenetv2_100").state_dict()
    return state


def assert_filled(module: nn.Module, state: State, head: str) -> None:
    own = module.state_dict()
    body = [name for name in own if not name.startswith(head)]
    assert len(body) > 200
    assert all(torch.equal(own[name], state[name]) for name in body)
    last = next(value for name, value in own.items() if name.startswith(head))
    assert last.shape[0] == 2  # the published one has 1000 classes


@pytest.mark.parametrize(
    ("factor", "file"), [(1, "resnet50-0676ba61.pth"), (2, "wide_resnet50_2-95faca4d.pth")]
)
def test_without_a_network_one_line_names_the_file_to_provide(factor: int, file: str) -> None:
    with torch.device("meta"):
        body = ResNet50(factor=factor)
    with pytest.raises(
        ModelError, match=f"--init imagenet: expected a network, or {file}"
    ) as error:
        load_imagenet_body(body, "imagenet")
    assert error.value.exit_code == 4
    assert "\n" not in str(error.value)
    assert "got Name or service not known" in str(error.value)
    assert f"Copy {file} there" in str(error.value)
    assert f"--init {file}" in str(error.value)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("shufflenetv2", f"{SHUFFLENET_FILE} in torch's hub folder"),
        ("inceptionv3", "inception_v3_google-0cc3c7bd.pth in torch's hub folder"),
        ("xception", "xception-43020ad28.pth in torch's hub folder"),
        ("mobilenetv2", "model.safetensors in the hub's cache for timm/mobilenetv2_100"),
        ("densenet169", "model.safetensors in the hub's cache for timm/densenet169"),
    ],
)
def test_every_network_names_its_file(name: str, file: str) -> None:
    with torch.device("meta"), pytest.raises(ModelError, match=f"or {file}") as error:
        fill(network(name), name)
    assert "\n" not in str(error.value)


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


TORCHVISION_MODELS = {
    "resnet50": "resnet50",
    "resnet34": "resnet34",
    "resnext50": "resnext50_32x4d",
    "shufflenetv2": "shufflenet_v2_x1_0",
    "inceptionv3": "inception_v3",
}


@pytest.mark.parametrize("name", BACKBONES)
def test_every_networks_weights_have_its_names_and_sizes(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    weights = BACKBONES[name].imagenet(ClassifierSizes())
    (tmp_path / "weights.pth").write_bytes(b"")
    with torch.device("meta"):  # sizes without values
        if weights.library == "torchvision":
            extra = {"init_weights": False} if name == "inceptionv3" else {}
            model = torchvision.models.get_model(TORCHVISION_MODELS[name], weights=None, **extra)
        else:
            model = timm.create_model(weights.name)
        state = model.state_dict()
        monkeypatch.setattr(imagenet, "_read", lambda path: dict(state))
        fill(network(name, in_channels=5), name, str(tmp_path / "weights.pth"))
        state.pop(next(key for key in state if not key.startswith(weights.head)))
        with pytest.raises(ModelError, match="expected a network of width 1 that"):
            fill(network(name), name, str(tmp_path / "weights.pth"))


def test_a_detectors_darknet_is_filled_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "weights.pth").write_bytes(b"")
    torch.manual_seed(0)
    state = timm.create_model("darknet53").state_dict()
    body = timm.create_model("darknet53", features_only=True, in_chans=5)
    monkeypatch.setattr(imagenet, "_read", lambda path: dict(state))
    load_imagenet_body(body, str(tmp_path / "weights.pth"))
    theirs = [value for name, value in state.items() if not name.startswith("head")]
    ours = list(body.state_dict().values())
    assert all(torch.equal(a, b) for a, b in zip(ours[1:], theirs[1:], strict=True))
    assert ours[0].shape[1] == 5  # the first convolution's, see below


def test_torchvisions_file_is_read_from_its_cache(caches: Path) -> None:
    state = published("shufflenetv2")
    folder = caches / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / SHUFFLENET_FILE)
    module = network("shufflenetv2")
    fill(module, "shufflenetv2")
    assert_filled(module, state, "fc")


def test_timms_file_is_read_from_the_hubs_cache(caches: Path) -> None:
    state = published("mobilenetv2")
    repository = caches / "hub" / "models--timm--mobilenetv2_100.ra_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    save_file(state, repository / "snapshots" / "abc" / "model.safetensors")
    module = network("mobilenetv2")
    fill(module, "mobilenetv2")
    assert_filled(module, state, "classifier")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".bin"])
@pytest.mark.parametrize(("name", "head"), [("mobilenetv2", "classifier"), ("shufflenetv2", "fc")])
def test_a_given_file_fills_all_but_the_head(
    name: str, head: str, suffix: str, tmp_path: Path
) -> None:
    state = published(name)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    module = network(name)
    before = {k: v.clone() for k, v in module.state_dict().items() if k.startswith(head)}
    fill(module, name, str(path))
    assert_filled(module, state, head)
    assert all(torch.equal(module.state_dict()[k], v) for k, v in before.items())


@pytest.mark.parametrize(
    ("name", "stem"), [("mobilenetv2", "conv_stem.weight"), ("shufflenetv2", "conv1.0.weight")]
)
def test_more_than_three_channels_get_the_published_ones_in_turn(
    name: str, stem: str, tmp_path: Path
) -> None:
    state = published(name)
    save_file(state, tmp_path / "weights.safetensors")
    module = network(name, in_channels=7)
    fill(module, name, str(tmp_path / "weights.safetensors"))
    for channel, value in enumerate(module.state_dict()[stem].unbind(dim=1)):
        torch.testing.assert_close(value, state[stem][:, channel % 3] * 3 / 7)


class Hostile:
    """Unpickled, this would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("place", ["torch/hub/checkpoints", "given"])
def test_no_code_in_a_file_is_run(place: str, caches: Path) -> None:
    made = caches / "made by the file"
    (caches / place).mkdir(parents=True)
    path = caches / place / SHUFFLENET_FILE
    torch.save({"conv1.0.weight": Hostile(made)}, path)
    with pytest.raises(ModelError) as error:
        fill(network("shufflenetv2"), "shufflenetv2", "imagenet" if "hub" in place else str(path))
    assert "\n" not in str(error.value)
    assert not made.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"no weights", b"\x80\x02.", b"PK\x03\x04"],
    ids=["empty", "text", "pickle", "zip"],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_without_weights_is_refused_by_its_name(
    content: bytes, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"^weights{suffix}: expected tensors by name") as error:
        fill(network("shufflenetv2"), "shufflenetv2", str(path))
    assert str(tmp_path) not in str(error.value)


def test_values_that_are_no_tensors_are_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "state_dict": {}}, tmp_path / "checkpoint.pth")
    with pytest.raises(ModelError, match=r"expected tensors by name.* got something else"):
        fill(network("shufflenetv2"), "shufflenetv2", str(tmp_path / "checkpoint.pth"))


@pytest.mark.parametrize("name", ["mobilenetv2", "inceptionv3", "resnet34", "densenet121"])
def test_the_weights_of_another_network_are_refused(name: str, tmp_path: Path) -> None:
    save_file(published("shufflenetv2"), tmp_path / "weights.safetensors")
    with pytest.raises(ModelError, match="expected a network of width 1 that") as error:
        fill(network(name), name, str(tmp_path / "weights.safetensors"))
    assert "\n" not in str(error.value)


def test_a_body_of_another_width_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, resnet50(weights=None).state_dict())
    with pytest.raises(ModelError, match="expected a network of width 1 that torchvision's"):
        load_imagenet_body(ResNet50(width=0.25), "imagenet")


def test_weights_that_leave_layers_out_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    state = resnet50(weights=None).state_dict()
    del state["layer2.0.conv1.weight"]
    serve(monkeypatch, state)
    with pytest.raises(ModelError, match=r"got layer2\.0\.conv1\.weight left out"):
        load_imagenet_body(ResNet50(), "imagenet")


@pytest.mark.parametrize("init", ["coco", "absent/weights.pth", "folder.pth"])
def test_what_is_neither_imagenet_nor_a_file_is_refused(
    init: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.pth").mkdir()
    shown = init.rsplit("/", 1)[-1]
    with pytest.raises(UsageError, match=f"--init: expected imagenet, or a file.*got '{shown}'"):
        load_imagenet_body(ResNet50(width=0.125), init)
