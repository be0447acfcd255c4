"""The second stage as a task: loss and probabilities of a batch, AUC of a validation set."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lnmdetect.core.config import ClassifierRecipe
from lnmdetect.core.precision import EXACT, InferenceForm
from lnmdetect.core.pretrained import LEFT_RANDOM, Pretrained
from lnmdetect.core.records import CATEGORY_NAMES, METASTATIC
from lnmdetect.datasets.classifier_data import ClassifierBatch
from lnmdetect.metrics.classification import auc_by_ranks
from lnmdetect.metrics.temperature import at_temperature
from lnmdetect.models.backbones import Backbone, ClassifierSizes, backbone
from lnmdetect.models.norms import with_norm
from lnmdetect.training.engines import classifier_in

SINGLE_VIEW: tuple[tuple[int, ...], ...] = ((),)
ALL_VIEWS: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))
"""Axes of (N, C, H, W) that each view flips: left-right is 3, anterior-posterior 2."""


def chosen_backbone(recipe: ClassifierRecipe) -> Backbone:
    """Return the kind of network that a recipe names.

    Raises:
        UsageError: there is none of that name, or the recipe's crops are too small for it.
    """
    return backbone(recipe.model.backbone, recipe.model.size_px)


def classifier_sizes(recipe: ClassifierRecipe) -> ClassifierSizes:
    """Return what fixes the shape of a recipe's network."""
    model = recipe.model
    return ClassifierSizes(
        in_channels=recipe.input.channels + model.size_channel,
        classes=len(model.classes),
        width=model.width,
        dropout=model.dropout,
        factor=model.bottleneck_factor,
        attention=model.attention,
    )


def build_classifier(recipe: ClassifierRecipe) -> nn.Module:
    """Return the untrained network of a recipe.

    Raises:
        UsageError: see `chosen_backbone`.
    """
    network = chosen_backbone(recipe).build(classifier_sizes(recipe))
    return with_norm(network, recipe.model.norm, is_filled=lambda name: LEFT_RANDOM not in name)


def imagenet_weights(recipe: ClassifierRecipe) -> Pretrained:
    """Return which published weights a recipe's network may start from.

    Raises:
        UsageError: there are none of its width.
    """
    return chosen_backbone(recipe).imagenet(classifier_sizes(recipe))


class ClassifierTask:
    """Tells benign from metastatic; see `training.task.Task`.

    Args:
        recipe: of the classifier.
        device: where it runs.
        validation: labels of the validation items in the order they are predicted, for `score`.
        temperature: the logits are divided by it; over several views, those of their mean.
    """

    monitor: str

    def __init__(
        self,
        recipe: ClassifierRecipe,
        device: torch.device,
        validation: Sequence[int] = (),
        *,
        temperature: float = 1.0,
    ) -> None:
        self.device = device
        self.form = EXACT
        self.monitor = recipe.monitor
        size = recipe.model.size_px
        self.crop = (classifier_sizes(recipe).in_channels, size, size)
        self.temperature = temperature
        self.flips: tuple[tuple[int, ...], ...] = SINGLE_VIEW
        self.flip_average = recipe.model.flip_average
        self.validation = np.asarray(validation, dtype=np.int64)
        self.metastatic = recipe.model.classes.index(CATEGORY_NAMES[METASTATIC])
        self.benign = recipe.model.classes.index("benign")
        module = build_classifier(recipe).to(device)
        self.module = module.to(memory_format=torch.channels_last)

    def losses(self, batch: ClassifierBatch) -> dict[str, Tensor]:
        """Return the cross-entropy."""
        logits = self.module(self._crops(batch))
        return {"cross_entropy": F.cross_entropy(logits.float(), batch.labels.to(self.device))}

    def predict(self, batch: ClassifierBatch) -> list[NDArray[np.float64]]:
        """Return each crop's probabilities over the recipe's classes, summing to 1."""
        crops = self._crops(batch)
        views = [self.module(crops.flip(axes) if axes else crops) for axes in self.flips]
        probabilities = torch.stack([view.double().softmax(dim=1) for view in views]).mean(dim=0)
        return list(at_temperature(probabilities.cpu().numpy(), self.temperature))

    def prepare_inference(self, form: InferenceForm = EXACT) -> None:
        """Put a fast form of the network in its place, no more training.

        Args:
            form: in the default one the network gives the same answers as it does now.

        Raises:
            MissingExtraError: the form's engine is not installed.
            UsageError: there is no such form.
        """
        self.module = classifier_in(form, self.module, self.crop)
        self.form = form

    def finish(self) -> None:
        """Answer from now on as the recipe says: over the flips too where it asks for them."""
        self.flips = ALL_VIEWS if self.flip_average else SINGLE_VIEW

    def score(self, predictions: Sequence[NDArray[np.float64]]) -> dict[str, float]:
        """Return AUC (metastatic against benign) and accuracy; AUC 0.5 where a class is missing."""
        probabilities = np.stack(predictions)
        nodes = np.isin(self.validation, [self.benign, self.metastatic])
        auc = auc_by_ranks(
            self.validation[nodes] == self.metastatic, probabilities[nodes][:, self.metastatic]
        )
        right = probabilities.argmax(axis=1) == self.validation
        return {"auc": 0.5 if auc.value is None else auc.value, "accuracy": float(right.mean())}

    def _crops(self, batch: ClassifierBatch) -> Tensor:
        return batch.crops.to(self.device, memory_format=torch.channels_last)
