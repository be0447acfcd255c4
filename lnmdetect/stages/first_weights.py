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


def require_weights_for_norm(recipe: Recipe, *, init: str | None, resumes: bool) -> None:
    """Do nothing where the first weights suit the recipe's norms.

    Args:
        recipe: of any arm.
        init: of the request.
        resumes: whether the weights are those of a checkpoint.

    Raises:
        UsageError: norms that stay as they are would begin with no statistics of a training, or
            ImageNet weights were trained with other norms.
    """
    norm = "batch" if isinstance(recipe, SegmenterRecipe) else recipe.model.norm
    if norm == "frozen" and not (init or resumes):
        raise UsageError(
            "recipe: model.norm",
            expected="frozen with --init, whose statistics it keeps",
            got="frozen and random first weights",
            remedy="Add --init imagenet or --init FILE, or take norm: group.",
        )
    if norm == "group" and init and not resumes:
        raise UsageError(
            "--init",
            expected="norm: batch or frozen, with which the published weights were trained",
            got="norm: group",
            remedy="Leave --init out, or change norm in the recipe.",
        )


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
