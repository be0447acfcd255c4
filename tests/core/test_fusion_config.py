"""Recipes of the ultrasound arm."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from lnmdetect.core.fusion_config import ALL_MODALITIES, FusionConfig, FusionRecipe
from lnmdetect.core.ultrasound import MODALITIES

Fields = Callable[..., dict[str, Any]]


def test_the_modalities_are_those_of_a_case() -> None:
    assert ALL_MODALITIES == MODALITIES


def test_modalities_stand_in_one_order_however_they_are_given() -> None:
    config = FusionConfig(modalities=("finding", "bmode"))
    assert config.modalities == ("bmode", "finding")
    assert config.images == ("bmode",)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"modalities": []}, "at least 1 item"),
        ({"modalities": ["bmode", "bmode"]}, "expected each one once"),
        ({"modalities": ["doppler"]}, "'bmode', 'ceus' or 'finding'"),
        ({"width": 0}, "greater than 0"),
        ({"backbone": "vgg16", "width": 1}, "'resnet50', 'vgg11' or 'inception_v3'"),
        ({"modality_dropout": 1.0}, "less than 1"),
        ({"frames": 0}, "greater than or equal to 1"),
        ({"normalisation": {"bmode": {"mean": 0.2, "sd": 0}}}, "greater than 0"),
        ({"normalisation": {"bmode": {"mean": 120, "sd": 40}}}, "less than or equal to 1"),
    ],
)
def test_what_no_fusion_can_have_is_refused(
    recipe_fields: Fields, model: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        FusionRecipe(**recipe_fields("fusion", model=model))
