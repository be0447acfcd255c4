"""Where the classifier looks: its own crops, its own views, its answer explained."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.config import ClassifierRecipe
from lnmdetect.core.records import (
    BENIGN,
    CATEGORY_NAMES,
    METASTATIC,
    CocoDataset,
)
from lnmdetect.datasets.classifier_data import (
    ClassifierBatch,
    CropReader,
    add_side,
    collate_crops,
)
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.models.class_activation import Stage
from lnmdetect.stages.classify import CROPS_A_BATCH, NO_TRUTH, load_classifier
from lnmdetect.stages.explain_cases import Case
from lnmdetect.stages.explain_looks import FAT_HU, Flags, Look
from lnmdetect.training.classifier_heat import NAMES, ClassifierHeat, Method
from lnmdetect.training.classifier_task import chosen_backbone
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.transforms.windows import window_stack

Channels = NDArray[np.float32]


class ClassifierExplainer:
    """Explains the probability of the class that a classifier calls; see `explain_looks.Explainer`.

    Args:
        model: name or folder of the bundle.
        dataset: whose boxes are explained; a threshold it was classified at with this very model
            decides the call, else the bundle's.
        store: the pixels.
        method: see `training.classifier_heat.ClassifierHeat`.
        device: where it runs.

    Raises:
        ModelError: there is no such bundle, or it is damaged.
        UsageError: the method does not fit the network, or there is no such device.
    """

    explains = "logit of the called class minus the mean of the others'"

    def __init__(
        self,
        model: str,
        dataset: CocoDataset,
        store: PixelStore,
        *,
        method: Method,
        device: str,
    ) -> None:
        self.bundle, self.task = load_classifier(model, device, plain=True)
        assert isinstance(self.bundle.recipe, ClassifierRecipe)
        self.recipe = self.bundle.recipe
        self.compute = Compute(self.task.device)
        self.reader = CropReader(store, self.recipe, coverage=dataset.coverage)
        self.margin, self.size_px = self.recipe.model.crop_margin, self.recipe.model.size_px
        self.threshold = self._threshold(dataset)
        empty = np.zeros((self.task_channels, self.size_px, self.size_px), dtype=np.float32)
        example = collate_crops([(empty, NO_TRUTH)]).crops
        self.heat = ClassifierHeat(self.task, chosen_backbone(self.recipe), method, example)
        self.method, self.layer = NAMES[self.heat.method], self.heat.layer
        self.stage: Stage | None = self.heat.stage
        self.last: Stage | None = self.heat.last
        self.cells: tuple[int, int] | None = self.heat.stage.cells

    @property
    def task_channels(self) -> int:
        """Channels of a crop, the one of its side included."""
        return self.recipe.input.channels + self.recipe.model.size_channel

    def look(self, case: Case) -> Look:
        """Return what the classifier says of a box, and where it looks.

        Raises:
            InputError: the slice is not below the scan root, or damaged.
        """
        stack = self.reader.read(case.image, case.box.box_xyxy)
        channels = self._channels(stack, case)
        (probabilities,) = predict(self.task, self._batches([channels], NO_TRUTH), self.compute)
        p_metastatic = float(probabilities[self.task.metastatic])
        is_metastatic = p_metastatic >= self.threshold
        label = self.task.metastatic if is_metastatic else self.task.benign
        (heat,) = predict(self.heat, self._batches([channels], label), self.compute)

        def without(regions: Flags) -> NDArray[np.float64]:
            wiped = [np.where(region, np.int16(FAT_HU), stack) for region in regions]
            batches = self._batches([self._channels(hu, case) for hu in wiped], NO_TRUTH)
            return np.array([p[label] for p in predict(self.task, batches, self.compute)])

        return Look(
            heat=heat,
            crop_hu=stack[self._middle],
            answer=float(probabilities[label]),
            called=CATEGORY_NAMES[METASTATIC if is_metastatic else BENIGN],
            p_metastatic=p_metastatic,
            answers_without=without,
        )

    @property
    def _middle(self) -> int:
        """Which of the crop's slices is the box's own."""
        return int(np.abs(self.recipe.input.slice_offsets_mm).argmin())

    def _channels(self, stack: NDArray[np.int16], case: Case) -> Channels:
        channels = window_stack(stack, self.recipe.input.windows_hu)
        return add_side(channels, case.image, case.box.box_xyxy, self.recipe)

    @staticmethod
    def _batches(crops: list[Channels], label: int) -> Iterator[ClassifierBatch]:
        for first in range(0, len(crops), CROPS_A_BATCH):
            yield collate_crops([(crop, label) for crop in crops[first : first + CROPS_A_BATCH]])

    def _threshold(self, dataset: CocoDataset) -> float:
        said = dataset.info.get("classifier") or {}
        given = dataset.info.get("classifier_threshold")
        if given is not None and said.get("sha256") == self.bundle.sha256:
            return float(given)
        return self.bundle.threshold.value
