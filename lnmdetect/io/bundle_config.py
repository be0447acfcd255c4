"""What a model bundle says of itself, read without its weights and without torch."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from lnmdetect.core.config import Recipe
from lnmdetect.core.errors import InputError, ModelError
from lnmdetect.core.patient_digests import PatientDigests, digests_from_json
from lnmdetect.core.precision import CheckedForm, Engine, Precision, checked_from_json
from lnmdetect.core.quantised import Quantised, quantised_from_json
from lnmdetect.core.thresholds import (
    Temperature,
    Threshold,
    temperature_from_json,
    threshold_from_json,
)
from lnmdetect.io.json_files import read_json, sha256_of_file
from lnmdetect.io.recipes import Arm, parse_recipe

CONFIG, WEIGHTS, CARD = "config.json", "weights.safetensors", "card.md"
FORMAT = 1
MODELS_VARIABLE = "LNMDETECT_MODELS"
_GIVE_TO = {
    "detector": "`lnmdetect detect`, or to `lnmdetect run --model`",
    "classifier": "`lnmdetect classify`, or to `lnmdetect run --classifier`",
    "segmenter": "`lnmdetect segment`",
    "fusion": "`lnmdetect fuse`",
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
        node_threshold: of a segmenter, on a node's score; `threshold` is that on a voxel's.
        checked: faster forms in which it was seen to answer as well, in the order of the checks.
        quantised: its int8 form, of which the files lie in the folder; None: none.
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
    node_threshold: Threshold | None = None
    checked: tuple[CheckedForm, ...] = ()
    quantised: Quantised | None = None

    def checked_with(self, engine: Engine) -> tuple[CheckedForm, ...]:
        """Return the forms that were checked with an engine, the newest check first."""
        return tuple(one for one in reversed(self.checked) if one.form.engine == engine)

    def usual_precision(self, engine: Engine = "torch") -> Precision:
        """Return in what the bundle answers with an engine when nobody says: as checked last.

        fp32 where nothing was checked.
        """
        usual = (one.form.precision for one in self.checked_with(engine) if one.can_be_default)
        return next(usual, "fp32")


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
        of_nodes = config.get("node_threshold")
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
            node_threshold=None if of_nodes is None else threshold_from_json(of_nodes),
            checked=checked_from_json(config.get("checked", ())),
            quantised=quantised_from_json(config.get("int8")),
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
