"""Recipes read from YAML, by the name of a bundled one or by path.

A recipe of one's own may say `base: compact`: its fields then replace those of that bundled recipe,
part by part.
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe, Recipe
from lnmdetect.core.config_parts import Part
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.core.fusion_config import FusionRecipe
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.io.json_files import atomic_output
from lnmdetect.io.recipe_faults import faults_named

Arm = Literal["detector", "classifier", "segmenter", "fusion"]
_RECIPES: dict[str, type[Part]] = {
    "detector": DetectorRecipe,
    "classifier": ClassifierRecipe,
    "segmenter": SegmenterRecipe,
    "fusion": FusionRecipe,
}


def bundled_recipes(arm: Arm) -> tuple[str, ...]:
    """Return the names of the recipes that come with the package."""
    folder = resources.files("lnmdetect") / "recipes" / arm
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir()))


def parse_recipe(text: str, *, where: str, arm: Arm) -> Recipe:
    """Return the recipe in a YAML text.

    Raises:
        InputError: it is not YAML, or fields are missing, unknown or out of range; all are named.
    """
    remedy = (
        "See data_specs/README.md, or change single fields of a bundled recipe "
        f"(base: {' or '.join(bundled_recipes(arm))})."
    )
    kind = _RECIPES[arm]
    with faults_named(where, kind, what="recipe", remedy=remedy):
        fields = yaml.safe_load(text)
        if isinstance(fields, dict) and "base" in fields:
            fields = _on_base(fields, where=where, arm=arm)
        recipe = kind.model_validate(fields)
    assert isinstance(recipe, DetectorRecipe | ClassifierRecipe | SegmenterRecipe | FusionRecipe)
    return recipe


def _on_base(fields: Mapping[str, Any], *, where: str, arm: Arm) -> dict[str, Any]:
    """Return a bundled recipe's fields with these in their place.

    Raises:
        InputError: there is no such bundled recipe, or the new one has no name of its own.
    """
    names, base = bundled_recipes(arm), fields["base"]
    if base not in names:
        raise InputError(
            f"{where}: base",
            expected=f"one of {', '.join(names)}",
            got=repr(base),
            remedy="Name a bundled recipe, or leave base out and give every field.",
        )
    if "name" not in fields:
        raise InputError(
            f"{where}: name",
            expected="a name of its own for a recipe with a base",
            got="none",
            remedy="Add a line such as name: mine.",
        )
    own = {key: value for key, value in fields.items() if key != "base"}
    return merged(yaml.safe_load(_bundled_text(base, arm)), own)


def merged(fields: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return `fields` with those of `own` in their place, objects merged field by field."""
    both = dict(fields)
    for key, value in own.items():
        old = both.get(key)
        is_part = isinstance(old, Mapping) and isinstance(value, Mapping)
        both[key] = merged(old, value) if is_part else value  # type: ignore[arg-type]
    return both


def recipe_yaml(fields: Mapping[str, Any]) -> str:
    """Return fields of a recipe as YAML text, in their order."""
    text = yaml.safe_dump(dict(fields), sort_keys=False, default_flow_style=None, width=100)
    return str(text)


def write_recipe(fields: Mapping[str, Any], path: Path, *, overwrite: bool = False) -> None:
    """Write fields of a recipe as YAML.

    Raises:
        OutputError: `path` exists and `overwrite` is false, or the folder cannot be written.
    """
    with atomic_output(path, overwrite=overwrite) as stream:
        stream.write(recipe_yaml(fields).encode("utf-8"))


def read_recipe(name_or_path: str, arm: Arm) -> Recipe:
    """Return a bundled recipe by name, or one of the user's own by the path of its YAML file.

    Raises:
        UsageError: neither a bundled name nor a file.
        InputError: the file is not a sound recipe.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        if not path.exists():
            raise UsageError(
                "--recipe",
                expected="the path of a YAML file",
                got=f"{name_or_path!r}, where there is none",
                remedy="Check the path.",
            )
        return parse_recipe(read_yaml_text(path), where=path.name, arm=arm)
    names = bundled_recipes(arm)
    if name_or_path not in names:
        raise UsageError(
            "--recipe",
            expected=f"one of {', '.join(names)} or the path of a .yaml file",
            got=repr(name_or_path),
            remedy="Choose one of those.",
        )
    return parse_recipe(_bundled_text(name_or_path, arm), where=name_or_path, arm=arm)


def _bundled_text(name: str, arm: Arm) -> str:
    file = resources.files("lnmdetect") / "recipes" / arm / f"{name}.yaml"
    return file.read_text(encoding="utf-8")


def read_yaml_text(path: Path) -> str:
    """Return the text of a YAML file.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            path.name,
            expected="a YAML file in UTF-8 that can be read",
            got=type(error).__name__,
            remedy="Check the path, its permissions and its encoding.",
        ) from None
