"""Recipes by name or path; a mistake is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lnmdetect.core.config import ClassifierRecipe, DetectorRecipe
from lnmdetect.core.errors import InputError, UsageError
from lnmdetect.io.recipes import Arm, bundled_recipes, parse_recipe, read_recipe, write_recipe

Fields = Callable[..., dict[str, Any]]
ARMS: tuple[Arm, ...] = ("detector", "classifier")


def refusal(fields: dict[str, Any], arm: Arm = "detector") -> str:
    with pytest.raises(InputError) as error:
        parse_recipe(yaml.safe_dump(fields), where="mine.yaml", arm=arm)
    assert error.value.exit_code == 3
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("arm", ARMS)
def test_both_recipes_of_each_arm_are_bundled_and_sound(arm: Arm) -> None:
    assert set(bundled_recipes(arm)) >= {"compact", "wang2023"}
    for name in bundled_recipes(arm):
        recipe = read_recipe(name, arm)
        assert (recipe.name, recipe.arm) == (name, arm)
        assert "Wang et al. 2023" in recipe.source


def test_the_papers_detector_has_the_papers_numbers() -> None:
    recipe = read_recipe("wang2023", "detector")
    assert isinstance(recipe, DetectorRecipe)
    assert recipe.model.anchor_areas_px2 == (256, 576, 1282, 1600, 3136)
    assert recipe.model.anchor_ratios == (0.5, 1, 2)
    assert recipe.model.width == 1
    training = recipe.optimiser
    assert (training.name, training.learning_rate, training.weight_decay) == ("sgd", 0.001, 0.0005)
    assert (training.gamma, training.epochs) == (0.33, 500)
    assert recipe.augmentation.copies == 20


def test_the_papers_classifier_has_the_papers_numbers() -> None:
    recipe = read_recipe("wang2023", "classifier")
    assert isinstance(recipe, ClassifierRecipe)
    assert (recipe.model.size_px, recipe.model.bottleneck_factor) == (224, 2)
    assert recipe.model.attention is True
    training = recipe.optimiser
    assert (training.name, training.learning_rate, training.weight_decay) == ("sgd", 0.001, 0.0005)
    assert (training.gamma, training.epochs) == (0.1, 1000)


def test_each_interpretation_in_the_papers_recipes_is_marked() -> None:
    package = Path(__file__).parents[2] / "lnmdetect" / "recipes"
    for arm in ARMS:
        text = (package / arm / "wang2023.yaml").read_text()
        assert text.count("(i)") >= 5
        assert '"(i)" marks our interpretation' in text


def test_a_recipe_of_ones_own_is_read_by_path(tmp_path: Path, recipe_fields: Fields) -> None:
    path = tmp_path / "mine.yml"
    path.write_text(yaml.safe_dump(recipe_fields("detector")))
    assert read_recipe(str(path), "detector").name == "tiny"


def test_an_unknown_key_is_refused_by_name(recipe_fields: Fields) -> None:
    message = refusal(recipe_fields("detector", model={"widht": 2}))
    assert message.startswith("mine.yaml: model.widht: expected the fields of a recipe")
    assert "got unknown field model.widht (did you mean width?)." in message
    assert "compact" in message


def test_every_mistake_is_named_at_once(recipe_fields: Fields) -> None:
    fields = recipe_fields("detector", optimiser={"learning_ratee": 0.1, "batch_size": 0})
    del fields["optimiser"]["learning_rate"]
    message = refusal(fields)
    names = message.split(": expected")[0].removeprefix("mine.yaml: ").split(", ")
    assert set(names) == {
        f"optimiser.{k}" for k in ("learning_rate", "learning_ratee", "batch_size")
    }
    assert "unknown field optimiser.learning_ratee (did you mean learning_rate?)" in message
    assert "missing field optimiser.learning_rate;" in message
    assert "optimiser.batch_size should be greater than or equal to 1, but is 0" in message


def test_a_rule_between_fields_is_told_in_its_own_words(recipe_fields: Fields) -> None:
    message = refusal(recipe_fields("classifier", model={"classes": ["a"]}), "classifier")
    assert "got classes: expected" in message
    assert "Value error" not in message


def test_a_recipe_with_a_base_changes_single_fields_of_it() -> None:
    text = "name: mine\nbase: compact\nmodel: {anchor_areas_px2: [1, 2, 3, 4, 5]}"
    recipe = parse_recipe(text, where="mine.yaml", arm="detector")
    base = read_recipe("compact", "detector")
    assert isinstance(recipe, DetectorRecipe)
    assert recipe.model.anchor_areas_px2 == (1, 2, 3, 4, 5)
    model = recipe.model.model_copy(update={"anchor_areas_px2": base.model.anchor_areas_px2})  # type: ignore[union-attr]
    assert recipe.model_copy(update={"name": "compact", "model": model}) == base


def test_a_base_that_is_not_there_lists_the_known_ones() -> None:
    with pytest.raises(
        InputError, match=r"mine\.yaml: base: expected one of compact, wang2023.*'x'"
    ):
        parse_recipe("name: mine\nbase: x", where="mine.yaml", arm="detector")


def test_a_recipe_with_a_base_needs_a_name_of_its_own() -> None:
    with pytest.raises(InputError, match=r"mine\.yaml: name: expected a name of its own"):
        parse_recipe("base: compact", where="mine.yaml", arm="detector")


def test_a_written_recipe_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    write_recipe({"name": "mine", "base": "compact", "model": {"width": 0.5}}, path)
    recipe = read_recipe(str(path), "detector")
    assert isinstance(recipe, DetectorRecipe)
    assert (recipe.name, recipe.model.width) == ("mine", 0.5)


def test_a_missing_key_is_refused_by_name(recipe_fields: Fields) -> None:
    fields = recipe_fields("detector")
    del fields["optimiser"]
    assert "got missing field optimiser." in refusal(fields)


def test_a_number_out_of_range_is_refused_with_what_it_was(recipe_fields: Fields) -> None:
    message = refusal(recipe_fields("detector", optimiser={"batch_size": 0}))
    assert "mine.yaml: optimiser.batch_size" in message
    assert "but is 0." in message


def test_the_recipe_of_another_arm_is_refused(recipe_fields: Fields) -> None:
    assert "got arm should be 'detector', but is 'classifier'" in refusal(
        {**recipe_fields("detector"), "arm": "classifier"}
    )


@pytest.mark.parametrize("text", ["", "just words", "- 1\n- 2", "3"])
def test_yaml_that_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"mine\.yaml: top level"):
        parse_recipe(text, where="mine.yaml", arm="detector")


def test_text_that_is_no_yaml_is_refused_with_the_line() -> None:
    with pytest.raises(InputError, match=r"expected YAML, got .*line 2") as error:
        parse_recipe("a: [1,\nb: }", where="mine.yaml", arm="detector")
    assert "\n" not in str(error.value)


def test_yaml_tags_that_would_run_code_are_refused() -> None:
    with pytest.raises(InputError, match="expected YAML"):
        parse_recipe("!!python/object/apply:os.getcwd []", where="mine.yaml", arm="detector")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"--recipe: expected one of compact, wang2023.*'resnet'"):
        read_recipe("resnet", "detector")


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match=r"got 'no/such\.yaml', where there is none"):
        read_recipe("no/such.yaml", "detector")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(InputError, match=r"mine\.yaml: expected .*UTF-8"):
        read_recipe(str(path), "detector")
