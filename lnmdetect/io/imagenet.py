"""ImageNet weights for any network here, through the loading code of the library they come from.

They come from the library's cache, from a network (only where a user asks for them), or from a file
that the user gives. Nothing is unpickled but tensors.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from lnmdetect.core.errors import ModelError, UsageError
from lnmdetect.core.pretrained import LEFT_RANDOM, Pretrained

IMAGENET = "imagenet"
HUB_FILE = "model.safetensors"
HUB_TIMEOUT_S = 10
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
_DAMAGED = (
    *(SafetensorError, RuntimeError, OSError, EOFError, pickle.UnpicklingError),
    *(LookupError, ValueError),  # what torch's unpickler of tensors raises on broken pickles
)
_WIDE_RESNET50_PLANES = 128


def load_imagenet(network: nn.Module, weights: Pretrained, init: str) -> None:
    """Fill a network with ImageNet weights; its head and attention keep their random ones.

    A first convolution of other than three channels gets the published ones in turn, scaled so
    that their sum stays (`timm.models.adapt_input_conv`).

    Args:
        network: filled in place.
        weights: which ones are published for it.
        init: `imagenet`, or the path of a file with these weights.

    Raises:
        UsageError: `init` is neither.
        ModelError: the weights cannot be had, or the network is not of their size.
    """
    path = given_file(init)
    try:
        published = _of_timm(weights, path) if weights.library == "timm" else _of_tv(weights, path)
    except OSError as error:
        raise _unreachable(weights, error) from None
    except (RuntimeError, KeyError, pickle.UnpicklingError) as error:
        raise _unfitting(weights, _last_line(error)) from None
    body = network.get_submodule(weights.body)
    fitting = _without_head(published, weights, body)
    try:
        result = body.load_state_dict(fitting, strict=False)
    except RuntimeError as error:
        raise _unfitting(weights, _last_line(error)) from None
    for name in result.missing_keys:
        if LEFT_RANDOM not in name and not name.startswith(f"{weights.head}."):
            raise _unfitting(weights, f"{name} left out")


def load_imagenet_body(body: nn.Module, init: str) -> None:
    """Fill a detector's body; see `load_imagenet`.

    Args:
        body: of width 1: `models.resnet.ResNet50`, plain or of doubled inner width, or timm's
            DarkNet-53 that gives maps.
        init: `imagenet`, or the path of a file with these weights.

    Raises:
        UsageError: `init` is neither.
        ModelError: the weights cannot be had, or the body is not of their size.
    """
    inner = body.state_dict().get("layer1.0.conv1.weight")
    if inner is None:
        weights = Pretrained("timm", "darknet53", "head.fc", gives_maps=True)
    else:
        kind = "Wide_ResNet50_2" if len(inner) == _WIDE_RESNET50_PLANES else "ResNet50"
        weights = Pretrained("torchvision", f"{kind}_Weights.IMAGENET1K_V1", "fc")
    load_imagenet(body, weights, init)


def _last_line(error: Exception) -> str:
    return str(error).splitlines()[-1].strip(" .\t")


def given_file(init: str) -> Path | None:
    """Return the file that `init` names, None where the library is to fetch the weights.

    Raises:
        UsageError: it is neither `imagenet` nor a file of weights.
    """
    if init == IMAGENET:
        return None
    path = Path(init)
    if path.suffix not in SUFFIXES or not path.is_file():
        raise UsageError(
            "--init",
            expected=f"{IMAGENET}, or a file of weights ({', '.join(SUFFIXES)})",
            got=repr(path.name if path.suffix in SUFFIXES else init),
            remedy="Check the name, or leave it out.",
        )
    return path


def weights_of_row(init: str, row: str) -> str | None:
    """Return the `init` of one of several networks.

    Args:
        init: `imagenet`, or a folder with one file of weights a network.
        row: the network's name, that of its file without suffix.

    Returns:
        `imagenet`, or the path of the file; None where the folder has none for it.
    """
    if init == IMAGENET:
        return init
    files = (Path(init) / f"{row}{suffix}" for suffix in SUFFIXES)
    return next((str(path) for path in files if path.is_file()), None)


def _read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name; no code is unpickled."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        sound = isinstance(state, Mapping) and all(isinstance(v, Tensor) for v in state.values())
        got = "something else"
    except _DAMAGED as error:
        sound, got = False, f"a file that holds none ({type(error).__name__})"
    if not sound:
        raise ModelError(
            path.name,
            expected="tensors by name, as a library publishes its weights",
            got=got,
            remedy="Give the library's own file.",
        )
    return dict(state)


def _of_tv(weights: Pretrained, path: Path | None) -> dict[str, Tensor]:
    """Return torchvision's weights."""
    from torchvision.models import get_weight

    if path is not None:
        return _read(path)
    state: dict[str, Tensor] = get_weight(weights.name).get_state_dict(
        progress=False, check_hash=True, weights_only=True
    )
    return state


def _of_timm(weights: Pretrained, path: Path | None) -> dict[str, Tensor]:
    """Return timm's weights, brought by timm into the names of its present model."""
    from timm import create_model, get_pretrained_cfg

    published = get_pretrained_cfg(weights.name)
    assert published is not None
    path = path or (_in_hub_cache(published.hf_hub_id) if published.hf_hub_id else None)
    overlay: dict[str, Any] = {}
    if path is not None:
        overlay = {"state_dict": _read(path)}
    elif published.hf_hub_id:
        _require_hub()
        overlay = {"hf_hub_filename": HUB_FILE}
    form: dict[str, Any] = {"features_only": True} if weights.gives_maps else {}
    model = create_model(weights.name, pretrained=True, pretrained_cfg_overlay=overlay, **form)
    state: dict[str, Tensor] = model.state_dict()
    return state


def _in_hub_cache(repository: str) -> Path | None:
    """Return the weights that an earlier download left; the hub itself would ask the network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, HUB_FILE)
    return Path(found) if isinstance(found, str) else None


def _require_hub() -> None:
    """Return once the hub has answered; its own client would try for half a minute.

    Raises:
        URLError: it does not answer.
    """
    from huggingface_hub.constants import ENDPOINT

    try:
        urlopen(Request(ENDPOINT, method="HEAD"), timeout=HUB_TIMEOUT_S).close()
    except HTTPError:
        return  # an answer, if not a friendly one


def _without_head(
    published: Mapping[str, Tensor], weights: Pretrained, body: nn.Module
) -> dict[str, Tensor]:
    """Return the weights but for the last layer, the first convolution's fitted to its input."""
    from timm.models import adapt_input_conv

    state = {k: v for k, v in published.items() if not k.startswith(f"{weights.head}.")}
    for name, own in body.state_dict().items():
        value = state.get(name)
        if value is None or own.ndim != 4 or value.ndim != 4 or value.shape[1] != 3:
            continue
        state[name] = adapt_input_conv(own.shape[1], value)
    return state


def _file_of(weights: Pretrained) -> tuple[str, str]:
    """Return the name of the file to provide, and where its library looks for it."""
    if weights.library == "torchvision":
        from torchvision.models import get_weight

        return get_weight(weights.name).url.rsplit("/", 1)[-1], "torch's hub folder (checkpoints)"
    from timm import get_pretrained_cfg

    published = get_pretrained_cfg(weights.name)
    assert published is not None
    if published.hf_hub_id:
        return HUB_FILE, f"the hub's cache for {published.hf_hub_id}"
    return str(published.url).rsplit("/", 1)[-1], "torch's hub folder (checkpoints)"


def _unreachable(weights: Pretrained, error: OSError) -> ModelError:
    file, place = _file_of(weights)
    cause = error.reason if isinstance(error, URLError) else error
    reason = cause.strerror if isinstance(cause, OSError) else cause
    return ModelError(
        "--init imagenet",
        expected=f"a network, or {file} in {place}",
        got=" ".join(str(reason or type(error).__name__).split()),
        remedy=f"Copy {file} there from a machine with a network, give it as --init {file}, or "
        "leave --init out.",
    )


def _unfitting(weights: Pretrained, got: str) -> ModelError:
    return ModelError(
        "--init imagenet",
        expected=f"a network of width 1 that {weights.library}'s {weights.name} fit",
        got=got,
        remedy="Use a recipe of width 1 and the weights of its backbone, or leave --init out.",
    )
