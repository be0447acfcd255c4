"""The weights that a training begins with, where they are not random."""

from lnmdetect.core.config import ClassifierRecipe, Recipe
from lnmdetect.core.errors import UsageError
from lnmdetect.core.fusion_config import FusionRecipe
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.io.imagenet import load_imagenet, load_imagenet_body
from lnmdetect.training.classifier_task import ClassifierTask, imagenet_weights
from lnmdetect.training.detector_task import DetectorTask
from lnmdetect.training.fusion_task import FusionTask, branch_weights
from lnmdetect.training.segmenter_task import SegmenterTask

AnyTask = DetectorTask | ClassifierTask | SegmenterTask | FusionTask


def start_from(init: str, task: AnyTask, recipe: Recipe) -> None:
    """Fill the task's network with ImageNet weights.

    Raises:
        UsageError: there are none for it.
        ModelError: they cannot be had, or do not fit.
    """
    if isinstance(recipe, SegmenterRecipe):
        raise UsageError(
            "--init",
            expected="no --init for a segmenter",
            got=repr(init),
            remedy="Leave it out: no published weights are of 3-D networks for necks.",
        )
    if isinstance(recipe, ClassifierRecipe):
        load_imagenet(task.module, imagenet_weights(recipe), init)
    elif isinstance(recipe, FusionRecipe):
        for modality in recipe.model.images:
            body = task.module.get_submodule(f"branches.{modality}.body")
            load_imagenet(body, branch_weights(recipe), init)
    else:
        load_imagenet_body(task.module.get_submodule("body"), init)
