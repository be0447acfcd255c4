"""Model bundles: a folder with `config.json`, `weights.safetensors` and `card.md`."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lnmdetect.core.config import Recipe
from lnmdetect.core.errors import InputError, ModelError, OutputError
from lnmdetect.core.patient_digests import PatientDigests, digests_from_json
from lnmdetect.core.thresholds import (
    Temperature,
    Threshold,
    chosen_to_json,
    temperature_from_json,
    threshold_from_json,
)
from lnmdetect.io.json_files import atomic_output, read_json, sha256_of_file, write_json
from lnmdetect.io.recipes import Arm, parse_recipe

CONFIG, WEIGHTS, CARD = "config.json", "weights.safetensors", "card.md"
FORMAT = 1
MODELS_VARIABLE = "LNMDETECT_MODELS"
_GIVE_TO = {
    "detector": "`lnmdetect detect`, or to `lnmdetect run --model`",
    "classifier": "`lnmdetect classify`, or to `lnmdetect run --classifier`",
}


@dataclass(frozen=True)
class Bundle:
    """A trained model as it lies on disk.

    Attributes:
        name: of the folder.
        recipe: all that defines the network and its input.
        threshold: applied by default.
        is_phantom: whether it was trained on synthetic scans.
        figures: validation figures, for the card.
        sha256: of the weights file.
        folder: where it lies.
        data: what it was trained on: seeds, numbers of patients, hash of the truth file.
        temperature: of a classifier; its thresholds hold for probabilities at it.
        trained_on: whom; None: not told.
    """

    name: str
    recipe: Recipe
    threshold: Threshold
    is_phantom: bool
    figures: Mapping[str, Any]
    sha256: str
    folder: Path
    data: Mapping[str, Any] = field(default_factory=dict)
    temperature: Temperature = field(default_factory=Temperature)
    trained_on: PatientDigests | None = None


def package_weights() -> Path:
    """Return the folder of the bundles that come with the package."""
    return Path(str(resources.files("lnmdetect") / "weights"))


def bundle_folders(arm: Arm) -> dict[str, Path]:
    """Return the installed bundles of an arm by name: the user's own first, then the package's."""
    roots = [Path(p) for p in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep) if p]
    roots.append(package_weights())
    found: dict[str, Path] = {}
    for root in roots:
        for config in sorted(root.glob(f"{arm}-*/{CONFIG}")):
            found.setdefault(config.parent.name.removeprefix(f"{arm}-"), config.parent)
    return found


def read_bundle(name_or_path: str, arm: Arm, *, option: str = "--model") -> Bundle:
    """Return a bundle by the name of an installed one or by its folder; `option` named it.

    Raises:
        ModelError: there is none of that name, or the folder is not a bundle of this arm.
    """
    installed = bundle_folders(arm)
    folder = Path(name_or_path)
    if not (folder / CONFIG).is_file():
        if name_or_path not in installed:
            raise ModelError(
                option,
                expected=f"a bundle's folder or one of {', '.join(installed) or 'none installed'}",
                got=repr(name_or_path),
                remedy=f"`lnmdetect models` lists them; ${MODELS_VARIABLE} names a folder of more "
                f"({arm}-NAME).",
            )
        folder = installed[name_or_path]
    return _parse_config(folder, arm)


def _parse_config(folder: Path, arm: Arm) -> Bundle:
    try:
        config = read_json(folder / CONFIG)
        if config["arm"] in _GIVE_TO and config["arm"] != arm:
            raise _other_arm(folder, config["arm"], arm)
        if config["format"] != FORMAT or config["arm"] != arm:
            raise _broken(folder, f"format {config['format']} of arm {config['arm']!r}", arm)
        recipe = parse_recipe(
            json.dumps(config["recipe"]), where=f"{folder.name}/{CONFIG}", arm=arm
        )
        threshold = threshold_from_json(config["threshold"])
        temperature = temperature_from_json(config.get("temperature"))
        return Bundle(
            name=config["name"],
            recipe=recipe,
            threshold=threshold,
            is_phantom=bool(config["phantom"]),
            figures=config["figures"],
            sha256=sha256_of_file(folder / WEIGHTS),
            folder=folder,
            data=config.get("data", {}),
            temperature=temperature,
            trained_on=digests_from_json(config.get("trained_on")),
        )
    except InputError as error:
        raise _broken(folder, str(error), arm) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _broken(folder, f"a {CONFIG} with {type(error).__name__}: {error}", arm) from None
    except OSError as error:
        raise _broken(folder, f"{error.strerror}: {WEIGHTS}", arm) from None


def _other_arm(folder: Path, got: str, arm: Arm) -> ModelError:
    return ModelError(
        folder.name,
        expected=f"a bundle of arm {arm!r}",
        got=f"one of arm {got!r}",
        remedy=f"This is a {got}'s bundle; give it to {_GIVE_TO[got]}.",
    )


def _broken(folder: Path, got: str, arm: Arm) -> ModelError:
    return ModelError(
        folder.name,
        expected=f"a bundle of arm {arm!r}, format {FORMAT}",
        got=got,
        remedy=f"Train it again with `lnmdetect train {arm}`, or use an installed bundle.",
    )


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
    """Write the bundle into its folder with the very weights of another one.

    Raises:
        OutputError: the folder holds a bundle already and `overwrite` is not set, or cannot be
            written.
    """
    refuse_bundle(bundle.folder, overwrite=overwrite)
    with (
        (source.folder / WEIGHTS).open("rb") as stored,
        atomic_output(bundle.folder / WEIGHTS, overwrite=True) as stream,
    ):
        shutil.copyfileobj(stored, stream)
    _write_description(bundle, card)


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
    config = {
        "format": FORMAT,
        "arm": bundle.recipe.arm,
        "name": bundle.name,
        "phantom": bundle.is_phantom,
        "threshold": chosen_to_json(bundle.threshold),
        **({"temperature": chosen_to_json(bundle.temperature)} if has_temperature else {}),
        **({"trained_on": bundle.trained_on.to_json()} if bundle.trained_on else {}),
        "figures": dict(bundle.figures),
        "data": dict(bundle.data),
        "recipe": bundle.recipe.model_dump(mode="json"),
    }
    write_json(config, bundle.folder / CONFIG, overwrite=True)
