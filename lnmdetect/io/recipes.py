"""Recipes read from YAML, by the name of a bundled one or by path."""

from importlib import resources
from pathlib import Path
from typing import Literal

import yaml
from pydantic import TypeAdapter, ValidationError

from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe, Recipe
from lnmdetect.core.errors import InputError, UsageError

Arm = Literal["detector", "classifier"]
_RECIPES: dict[str, TypeAdapter[Recipe]] = {
    "detector": TypeAdapter(DetectorRecipe),
    "classifier": TypeAdapter(ClassifierRecipe),
}


def bundled_recipes(arm: Arm) -> tuple[str, ...]:
    """Return the names of the recipes that come with the package."""
    folder = resources.files("lnmdetect") / "recipes" / arm
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir()))


def parse_recipe(text: str, *, where: str, arm: Arm) -> Recipe:
    """Return the recipe in a YAML text.

    Raises:
        InputError: it is not YAML, or a field is missing, unknown or out of range.
    """
    remedy = f"See data_specs/README.md, or start from a bundled recipe: {bundled_recipes(arm)}."
    try:
        return _RECIPES[arm].validate_python(yaml.safe_load(text))
    except yaml.YAMLError as error:
        got = " ".join(str(error).split())  # in one line
        raise InputError(where, expected="YAML", got=got, remedy=remedy) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{where}: {field or 'top level'}",
            expected=first["msg"],
            got=repr(first["input"])[:80],
            remedy=remedy,
        ) from None


def read_recipe(name_or_path: str, arm: Arm) -> Recipe:
    """Return a bundled recipe by name, or one of the user's own by the path of its YAML file.

    Raises:
        UsageError: neither a bundled name nor a file.
        InputError: the file is not a sound recipe.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return parse_recipe(_read_text(path), where=path.name, arm=arm)
    names = bundled_recipes(arm)
    if name_or_path not in names:
        raise UsageError(
            "--recipe",
            expected=f"one of {', '.join(names)} or the path of a .yaml file",
            got=repr(name_or_path),
            remedy="Choose one of those.",
        )
    file = resources.files("lnmdetect") / "recipes" / arm / f"{name_or_path}.yaml"
    return parse_recipe(file.read_text(encoding="utf-8"), where=name_or_path, arm=arm)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            path.name,
            expected="a YAML file in UTF-8 that can be read",
            got=type(error).__name__,
            remedy="Check the path, its permissions and its encoding.",
        ) from None
