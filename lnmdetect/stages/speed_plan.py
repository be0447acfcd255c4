"""What a process needs to know to build the networks that are timed; it travels to others."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe
from lnmdetect.io.recipes import read_recipe

RECIPE = "wang2023"


@dataclass(frozen=True)
class SpeedPlan:
    """The published networks, in the size asked for.

    Attributes:
        width: of the networks, 1 being the published ones.
        size_px: side of a slice.
        folder: for files that networks are made of; the run's own.
    """

    width: float
    size_px: int
    folder: Path

    @cached_property
    def detector(self) -> DetectorRecipe:
        """The published detector's recipe, of the width asked for."""
        recipe = read_recipe(RECIPE, "detector")
        assert isinstance(recipe, DetectorRecipe)
        model = recipe.model.model_copy(update={"width": self.width})
        return recipe.model_copy(update={"model": model})

    @cached_property
    def classifier(self) -> ClassifierRecipe:
        """The published classifier's recipe, of the width asked for."""
        recipe = read_recipe(RECIPE, "classifier")
        assert isinstance(recipe, ClassifierRecipe)
        model = recipe.model.model_copy(update={"width": self.width})
        return recipe.model_copy(update={"model": model})
