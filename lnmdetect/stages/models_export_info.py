"""What model.json says of an exported model: all that is needed to call it rightly."""

from typing import Any

from lnmdetect import __version__
from lnmdetect.core.config import STORED_SCORE_MIN, ClassifierRecipe, DetectorRecipe
from lnmdetect.core.config_parts import InputConfig
from lnmdetect.datasets.detector_data import STRIDE
from lnmdetect.io.bundles import Bundle
from lnmdetect.transforms.crops import SIDE_RANGE_MM


def detector_info(bundle: Bundle, recipe: DetectorRecipe) -> dict[str, Any]:
    """Return the description of a whole detector, without that of its files."""
    shape = [1, recipe.input.channels, None, None]
    return {
        **_common(bundle),
        "input": {
            "name": "image",
            "shape": shape,
            "multiple_of": STRIDE,
            **_pixels(recipe.input),
            "spacing_mm": recipe.input.spacing_mm,
            "body_mask": recipe.input.body_mask,
        },
        "outputs": [
            {"name": "boxes", "shape": [None, 4], "unit": "px of the input, x1 y1 x2 y2"},
            {"name": "scores", "shape": [None], "unit": "0 to 1, best first"},
        ],
        "score_min": STORED_SCORE_MIN,
        "nms_iou": recipe.model.nms_iou,
    }


def classifier_info(bundle: Bundle, recipe: ClassifierRecipe) -> dict[str, Any]:
    """Return the description of a whole classifier, without that of its files."""
    model = recipe.model
    shape = [None, recipe.input.channels + model.size_channel, model.size_px, model.size_px]
    return {
        **_common(bundle),
        "input": {
            "name": "crops",
            "shape": shape,
            **_pixels(recipe.input),
            "crop_margin": model.crop_margin,
            "side_channel_mm": list(SIDE_RANGE_MM) if model.size_channel else None,
        },
        "outputs": [
            {
                "name": "probabilities",
                "shape": [None, len(model.classes)],
                "unit": "0 to 1, rows sum to 1",
            }
        ],
        "classes": list(model.classes),
        "temperature": bundle.temperature.value,
    }


def _common(bundle: Bundle) -> dict[str, Any]:
    threshold = bundle.threshold
    return {
        "description": "A model of cervical lymph nodes on CT. Research use only.",
        "lnmdetect_version": __version__,
        "arm": bundle.recipe.arm,
        "name": bundle.name,
        "recipe": bundle.recipe.name,
        "weights_sha256": bundle.sha256,
        "trained_on_phantoms": bundle.is_phantom,
        "threshold": {
            "value": threshold.value,
            "rule": threshold.rule,
            "chosen_on": threshold.chosen_on,
        },
    }


def _pixels(config: InputConfig) -> dict[str, Any]:
    """Return how HU become channels: offsets times windows, offsets varying slowest."""
    return {
        "range": [0, 1],
        "windows_hu": [list(window) for window in config.windows_hu],
        "slice_offsets_mm": list(config.slice_offsets_mm),
    }
