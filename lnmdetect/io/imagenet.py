"""ImageNet weights for a full-width ResNet-50 body, through torchvision's own loading code."""

from urllib.error import URLError

from torch import nn
from torchvision.models import ResNet50_Weights, Wide_ResNet50_2_Weights

from lnmdetect.core.errors import ModelError, UsageError

_WEIGHTS = {1: ResNet50_Weights.IMAGENET1K_V1, 2: Wide_ResNet50_2_Weights.IMAGENET1K_V1}


def load_imagenet_body(body: nn.Module, init: str) -> None:
    """Fill a ResNet-50 body with ImageNet weights; attention and head keep their random ones.

    Args:
        body: `models.resnet.ResNet50` of width 1 with 3 input channels.
        init: must be `imagenet`.

    Raises:
        UsageError: another name.
        ModelError: the weights cannot be had, or the body is not of their size.
    """
    if init != "imagenet":
        raise UsageError("--init", expected="imagenet", got=repr(init), remedy="Leave it out.")
    inner = body.state_dict()["layer1.0.conv1.weight"].shape[0]
    weights = _WEIGHTS.get(2 if inner == 128 else 1, ResNet50_Weights.IMAGENET1K_V1)
    try:
        loaded = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError) as error:
        name = weights.url.rsplit("/", 1)[-1]
        raise ModelError(
            "--init imagenet",
            expected=f"a network, or {name} in torch's hub folder (checkpoints)",
            got=str(error),
            remedy=f"Copy {name} there from a machine with a network, or leave --init out.",
        ) from None
    fitting = {k: v for k, v in loaded.items() if not k.startswith("fc.")}
    try:
        missing = body.load_state_dict(fitting, strict=False).missing_keys
    except RuntimeError as error:
        raise ModelError(
            "--init imagenet",
            expected="a recipe of width 1 with three input channels",
            got=str(error).splitlines()[-1].strip(),
            remedy="Use the recipe wang2023, or leave --init out.",
        ) from None
    if any("attention" not in key for key in missing):
        raise ModelError(
            "--init imagenet",
            expected="every layer filled",
            got=f"{missing[0]} left out",
            remedy="Leave --init out.",
        )
