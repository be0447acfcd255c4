"""Model bundles: a folder with `config.json`, `weights.safetensors` and `card.md`."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lnmdetect.core.errors import ModelError, OutputError
from lnmdetect.core.quantised import INT8_BIN, INT8_XML
from lnmdetect.core.thresholds import Temperature, chosen_to_json
from lnmdetect.io.bundle_config import (
    CARD,
    CONFIG,
    FORMAT,
    MODELS_VARIABLE,
    WEIGHTS,
    Bundle,
    bundle_folders,
    package_weights,
    read_bundle,
)
from lnmdetect.io.json_files import atomic_output, sha256_of_file, write_json

__all__ = [
    "CARD",
    "CONFIG",
    "FORMAT",
    "MODELS_VARIABLE",
    "WEIGHTS",
    "Bundle",
    "as_stored",
    "bundle_folders",
    "load_weights",
    "package_weights",
    "quantised_file",
    "read_bundle",
    "read_weights",
    "refuse_bundle",
    "write_bundle",
    "write_with_weights_of",
]


def read_weights(bundle: Bundle) -> dict[str, Tensor]:
    """Return the weights in float32; nothing is unpickled.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        stored = load_file(bundle.folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{bundle.folder.name}/{WEIGHTS}",
            expected="a safetensors file",
            got=str(error),
            remedy="Copy the bundle again.",
        ) from None
    return {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}


def load_weights(module: nn.Module, bundle: Bundle) -> None:
    """Fill a network with a bundle's weights.

    Raises:
        ModelError: the file is damaged, or holds the weights of another network.
    """
    try:
        module.load_state_dict(read_weights(bundle))
    except RuntimeError as error:
        raise ModelError(
            f"{bundle.folder.name}/{WEIGHTS}",
            expected=f"the weights of the network that its {CONFIG} describes",
            got=str(error).splitlines()[-1].strip(),
            remedy="Copy the bundle again, all three files.",
        ) from None


def _halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: (v.to(torch.float16) if v.is_floating_point() else v).contiguous().cpu()
        for name, v in weights.items()
    }


def as_stored(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights as a bundle would give them back: rounded to float16, in float32.

    Thresholds are chosen with these, since scores move in the third digit.
    """
    return {k: v.float() if v.is_floating_point() else v for k, v in _halved(weights).items()}


def write_bundle(
    bundle: Bundle, weights: Mapping[str, Tensor], card: str, *, overwrite: bool = False
) -> None:
    """Write the bundle into its folder, the weights as float16.

    Raises:
        OutputError: the folder holds a bundle already and `overwrite` is not set.
    """
    refuse_bundle(bundle.folder, overwrite=overwrite)
    bundle.folder.mkdir(parents=True, exist_ok=True)
    save_file(_halved(weights), bundle.folder / WEIGHTS)
    _write_description(bundle, card)


def write_with_weights_of(
    source: Bundle, bundle: Bundle, card: str, *, overwrite: bool = False
) -> None:
    """Write the bundle into its folder with the very weights of another one, also those in int8.

    Raises:
        ModelError: a file in int8 is absent, or another than the source was written with.
        OutputError: the folder holds a bundle already and `overwrite` is not set, or cannot be
            written.
    """
    refuse_bundle(bundle.folder, overwrite=overwrite)
    copied = bundle.quantised is not None and bundle.quantised == source.quantised
    if copied:
        quantised_file(source)
    for name in (WEIGHTS, *((INT8_XML, INT8_BIN) if copied else ())):
        with (
            (source.folder / name).open("rb") as stored,
            atomic_output(bundle.folder / name, overwrite=True) as stream,
        ):
            shutil.copyfileobj(stored, stream)
    _write_description(bundle, card)


def quantised_file(bundle: Bundle) -> Path | None:
    """Return the bundle's network in int8, None where it has none.

    Raises:
        ModelError: a file of it is absent, or another than the bundle was written with.
    """
    if bundle.quantised is None:
        return None
    for name, sha256 in bundle.quantised.sha256.items():
        path = bundle.folder / name
        if not path.is_file() or sha256_of_file(path) != sha256:
            raise ModelError(
                f"{bundle.folder.name}/{name}",
                expected=f"the file of sha256 {sha256[:12]}... that {CONFIG} names",
                got="another" if path.is_file() else "none",
                remedy="Copy the bundle again, all its files.",
            )
    return bundle.folder / INT8_XML


def refuse_bundle(folder: Path, *, overwrite: bool) -> None:
    """Return nothing where a bundle may be written; to be asked before the work, not after it.

    Raises:
        OutputError: the folder holds a bundle already and `overwrite` is not set.
    """
    if (folder / CONFIG).exists() and not overwrite:
        raise OutputError(
            folder.name,
            expected="a new folder for the bundle",
            got="one that holds a bundle",
            remedy="Choose another folder, or add --overwrite.",
        )


def _write_description(bundle: Bundle, card: str) -> None:
    (bundle.folder / CARD).write_text(card, encoding="utf-8")
    has_temperature = bundle.temperature != Temperature()
    of_nodes = bundle.node_threshold
    config = {
        "format": FORMAT,
        "arm": bundle.recipe.arm,
        "name": bundle.name,
        "phantom": bundle.is_phantom,
        "threshold": chosen_to_json(bundle.threshold),
        **({"node_threshold": chosen_to_json(of_nodes)} if of_nodes else {}),
        **({"temperature": chosen_to_json(bundle.temperature)} if has_temperature else {}),
        **({"trained_on": bundle.trained_on.to_json()} if bundle.trained_on else {}),
        **({"checked": [one.to_json() for one in bundle.checked]} if bundle.checked else {}),
        **({"int8": bundle.quantised.to_json()} if bundle.quantised else {}),
        "figures": dict(bundle.figures),
        "data": dict(bundle.data),
        "recipe": bundle.recipe.model_dump(mode="json"),
    }
    write_json(config, bundle.folder / CONFIG, overwrite=True)
