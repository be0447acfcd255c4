"""Where the detector looks: the slices as it sees them, the score of one box explained."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.config import DetectorRecipe
from lnmdetect.core.geometry import Boxes, as_boxes
from lnmdetect.core.records import CocoDataset, Detections, ImageRecord
from lnmdetect.datasets.detector_data import DetectorBatch, DetectorItem, collate_detector
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.models.class_activation import Stage
from lnmdetect.stages.detect import load_detector
from lnmdetect.stages.explain_cases import Case
from lnmdetect.stages.explain_looks import FAT_HU, Flags, Look
from lnmdetect.training.classifier_heat import NAMES
from lnmdetect.training.detector_heat import DetectorHeat, best_overlap
from lnmdetect.training.devices import Compute
from lnmdetect.training.engine import predict
from lnmdetect.transforms.body import BoxPx
from lnmdetect.transforms.crops import crop_box
from lnmdetect.transforms.grid import mask_slice, model_channels
from lnmdetect.transforms.heat import crop_map, heat_from_grid, heat_on_slice

CONTEXT = 2.0
"""Heat is shown and checked on a square of three times the box's longer side."""
CROP_PX = 96


class DetectorExplainer:
    """Explains a detector's box scores; see `explain_looks.Explainer`.

    Args:
        model: name or folder of the bundle.
        dataset: whose boxes are explained, with the detection of this very model that lies there.
        store: the pixels.
        device: where it runs.

    Raises:
        ModelError: there is no such bundle, or it is damaged.
        UsageError: there is no such device.
    """

    margin, size_px = CONTEXT, CROP_PX
    method = NAMES["gradcam"]
    cells: tuple[int, int] | None = None
    stage: Stage | None = None
    last: Stage | None = None
    explains = "score of the detection on the box, over all maps that the heads read"

    def __init__(self, model: str, dataset: CocoDataset, store: PixelStore, *, device: str) -> None:
        self.bundle, self.task = load_detector(model, device, plain=True)
        assert isinstance(self.bundle.recipe, DetectorRecipe)
        self.config = self.bundle.recipe.input
        self.heat = DetectorHeat(self.task)
        self.layer = self.heat.layer
        self.compute = Compute(self.task.device)
        self.store, self.coverage = store, dataset.coverage
        self._last: tuple[ImageRecord, NDArray[np.int16], BoxPx] | None = None

    def look(self, case: Case) -> Look:
        """Return the detector's score of a box, and where it looks.

        Raises:
            InputError: the slice is not below the scan root, or damaged.
        """
        image, box = case.image, case.box.box_xyxy
        stack, body = self._slices(image)
        item = self._item(stack, body, case)
        (found,) = predict(self.heat, [collate_detector([item])], self.compute)
        assert item.grid is not None
        in_slice = heat_from_grid(found.heat, item.grid, shape=(image.height, image.width))
        spacing_mm = image.spacing_mm

        def without(regions: Flags) -> NDArray[np.float64]:
            batches = self._wiped(case, regions)
            answers = predict(self.task, batches, self.compute)
            return np.array([_score_at(answer, as_boxes([box])) for answer in answers])

        own = stack[self._middle : self._middle + 1]
        return Look(
            heat=crop_map(in_slice, box, spacing_mm=spacing_mm, margin=CONTEXT, size_px=CROP_PX),
            crop_hu=crop_box(own, box, spacing_mm=spacing_mm, margin=CONTEXT, size_px=CROP_PX)[0],
            answer=found.score,
            called=None,
            p_metastatic=None,
            answers_without=without,
        )

    def _slices(self, image: ImageRecord) -> tuple[NDArray[np.int16], BoxPx]:
        """Return (S, H, W) HU as the detector sees them, and the patient's box in the slice."""
        if self._last is None or self._last[0] != image:
            offsets_mm = self.config.slice_offsets_mm
            if self.coverage == "key_images":
                stack = np.stack([self.store.read(image)] * len(offsets_mm))
            else:
                stack = self.store.read_stack(image, offsets_mm)
            masked = [mask_slice(hu, image.spacing_mm, self.config) for hu in stack]
            body = masked[self._middle][1]
            self._last = (image, np.stack([hu for hu, _ in masked]), body)
        return self._last[1], self._last[2]

    @property
    def _middle(self) -> int:
        """Which slice of the stack is the box's own."""
        return int(np.abs(self.config.slice_offsets_mm).argmin())

    def _item(self, stack: NDArray[np.int16], body: BoxPx, case: Case) -> DetectorItem:
        channels, grid = model_channels(stack, body, case.image.spacing_mm, self.config)
        wanted = grid.to_model(as_boxes([case.box.box_xyxy]))
        return DetectorItem(channels, wanted, np.zeros(1, dtype=bool), case.image, grid)

    def _wiped(self, case: Case, regions: Flags) -> Iterator[DetectorBatch]:
        """Yield the slice once for each (P, P) region of the crop, fat there."""
        stack, body = self._slices(case.image)
        for region in regions:
            placed = heat_on_slice(
                region.astype(np.float32),
                case.box.box_xyxy,
                spacing_mm=case.image.spacing_mm,
                margin=CONTEXT,
                shape=(case.image.height, case.image.width),
            )
            hu = np.where(placed > 0.5, np.int16(FAT_HU), stack)
            yield collate_detector([self._item(hu, body, case)])


def _score_at(found: Detections, wanted_xyxy: Boxes) -> float:
    """Return the score of the detection that lies on a box; 0 without one."""
    place = best_overlap(found.boxes_xyxy, wanted_xyxy)
    return 0.0 if place is None else float(found.scores[place])
