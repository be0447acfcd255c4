"""A fusion bundle ready to answer, and the modalities that an option names."""

from lnmdetect.core.errors import UsageError
from lnmdetect.core.fusion_config import ALL_MODALITIES, FusionRecipe
from lnmdetect.io.bundles import Bundle, load_weights, read_bundle
from lnmdetect.training.devices import choose_device, limit_threads
from lnmdetect.training.fusion_task import FusionTask


def load_fusion(model: str, device: str) -> tuple[Bundle, FusionTask]:
    """Return a fusion network's bundle and its task, ready to predict.

    Raises:
        ModelError: there is no such bundle, or it is damaged.
        UsageError: there is no such device.
    """
    limit_threads()
    bundle = read_bundle(model, "fusion")
    assert isinstance(bundle.recipe, FusionRecipe)
    task = FusionTask(bundle.recipe, choose_device(device))
    load_weights(task.module, bundle)
    return bundle, task


def parsed_modalities(option: str, given: str) -> tuple[str, ...]:
    """Return the modalities that an option names, as it names them.

    Raises:
        UsageError: there is no such modality, or one is named twice.
    """
    names = tuple(name.strip() for name in given.split(","))
    if set(names) <= set(ALL_MODALITIES) and len(set(names)) == len(names):
        return names
    raise UsageError(
        option,
        expected=f"some of {','.join(ALL_MODALITIES)}, each once",
        got=repr(given),
        remedy=f"Separate them by commas, as in {option} bmode,finding.",
    )
