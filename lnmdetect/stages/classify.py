"""`lnmdetect classify`: boxes.json in, nodes.json out."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lnmdetect import __version__
from lnmdetect.core.config import ClassifierRecipe
from lnmdetect.core.patient_digests import chosen_on, trained_on
from lnmdetect.core.precision import Engine, InferenceForm, Precision
from lnmdetect.core.progress import SILENT, Progress
from lnmdetect.core.read_ahead import read_ahead
from lnmdetect.core.records import (
    BENIGN,
    CATEGORY_NAMES,
    METASTATIC,
    CocoDataset,
    ImageRecord,
    NodeAnnotation,
)
from lnmdetect.datasets.classifier_data import (
    ClassifierBatch,
    CropReader,
    add_side,
    collate_crops,
)
from lnmdetect.io.bundles import Bundle, load_weights, read_bundle
from lnmdetect.io.coco import read_coco, write_coco
from lnmdetect.io.json_files import refuse_existing, sha256_of_file
from lnmdetect.io.pixel_roots import relative_root, scan_root
from lnmdetect.io.pixel_store import PixelStore
from lnmdetect.io.run_record import RunRecord, record_path
from lnmdetect.stages.model_form import chosen_form, refuse_form
from lnmdetect.stages.scan_hounsfield import check_listed
from lnmdetect.training.classifier_task import ClassifierTask
from lnmdetect.training.devices import Compute, choose_device, limit_threads
from lnmdetect.training.engine import predict
from lnmdetect.transforms.windows import window_stack

DEFAULT_MODEL = "compact"
NODES = Path("nodes.json")
CROPS_A_BATCH = 16
BATCHES_AHEAD = 2
NO_TRUTH = -1


@dataclass(frozen=True)
class ClassifyRequest:
    """Which boxes to classify, and how.

    Attributes:
        boxes: boxes.json, or a truth.json whose boxes are to be classified.
        scan: where the pixels are; None takes the file's `info.scan_root`.
        above_threshold: classify only boxes at or above the detector's operating threshold; the
            others are left out of nodes.json.
        threshold: on P(metastatic), in [0, 1], instead of the bundle's.
        named_root, precision, engine: as `detect` takes them.
    """

    boxes: Path
    output: Path = NODES
    scan: Path | None = None
    model: str = DEFAULT_MODEL
    device: str = "auto"
    above_threshold: bool = False
    threshold: float | None = None
    overwrite: bool = False
    named_root: Path | None = None
    precision: Precision | None = None
    engine: Engine = "torch"


LoadedClassifier = tuple[Bundle, ClassifierTask]


@dataclass(frozen=True)
class ClassifyResult:
    """What the boxes were called; the last two counts take boxes at the detector's threshold."""

    output: Path
    boxes: int
    benign_above_threshold: int
    metastatic_above_threshold: int
    threshold: float
    seconds: float


def load_classifier(
    model: str,
    device: str,
    *,
    precision: Precision | None = None,
    engine: Engine = "torch",
    plain: bool = False,
) -> LoadedClassifier:
    """Return a classifier's bundle and its task, ready to predict.

    Args:
        model: name or folder of the bundle.
        device: auto, cpu, cuda or cuda:N.
        precision: see `model_form.chosen_form`.
        engine: likewise.
        plain: whether the network stays as it was trained.

    Raises:
        MissingExtraError: the engine is not installed.
        ModelError: there is no such bundle, or it is damaged.
        UsageError: there is no such device, or the engine cannot compute in this precision.
    """
    limit_threads()
    bundle = read_bundle(model, "classifier")
    assert isinstance(bundle.recipe, ClassifierRecipe)
    temperature = bundle.temperature.value
    task = ClassifierTask(bundle.recipe, choose_device(device), temperature=temperature)
    load_weights(task.module, bundle)
    if not plain:
        task.prepare_inference(chosen_form(bundle, task.device, precision, engine))
    task.finish()
    return bundle, task


def classify(
    request: ClassifyRequest,
    progress: Progress = SILENT,
    loaded: LoadedClassifier | None = None,
    store: PixelStore | None = None,
) -> ClassifyResult:
    """Return what the boxes were called after writing nodes.json and its run record.

    Args:
        request: which boxes, and how.
        progress: watches the crops.
        loaded: the request's model where it is in memory already.
        store: the pixels where they are at hand already.

    Raises:
        InputError: the file or its pixels are unsound.
        MissingExtraError: the engine is not installed.
        ModelError: the bundle is absent or damaged.
        OutputError: the output exists and `overwrite` is not set.
        UsageError: the network cannot be had in the form that is asked for.
    """
    refuse_existing(request.output, overwrite=request.overwrite)
    if loaded is None:
        refuse_form(read_bundle(request.model, "classifier"), request.precision, request.engine)
    record = _start_record(request)
    dataset = read_coco(request.boxes)
    root = scan_root(request.boxes, dataset, request.scan)
    store = store or PixelStore(root, png_folder=request.boxes.parent)
    check_listed(store, dataset)
    bundle, task = loaded or load_classifier(
        request.model, request.device, precision=request.precision, engine=request.engine
    )
    record.config = {**record.config, "device": str(task.device), **asdict(task.form)}
    record.lap("open")
    chosen = _chosen(dataset, above_threshold=request.above_threshold)
    assert isinstance(bundle.recipe, ClassifierRecipe)
    different = list({_crop_of(box): box for box in chosen}.values())
    batches = _batches(different, dataset, store, bundle.recipe)
    total = -(-len(different) // CROPS_A_BATCH)
    with closing(read_ahead(batches, BATCHES_AHEAD)) as ahead:
        watched = progress.track(ahead, description="classifying", total=total)
        answers = list(predict(task, watched, Compute(task.device)))
    threshold = bundle.threshold.value if request.threshold is None else request.threshold
    answer = dict(zip(map(_crop_of, different), answers, strict=True))
    nodes = tuple(
        called_node(box, answer[_crop_of(box)], bundle.recipe.model.classes, threshold)
        for box in chosen
    )
    record.lap("classify")
    info = _info(request, dataset, bundle, threshold, task.form)
    write_coco(
        replace(dataset, info=info, annotations=nodes), request.output, overwrite=request.overwrite
    )
    record.model = {bundle.name: bundle.sha256}
    record.write(record_path(request.output))
    called = [n.category_id for n in nodes if (n.score or 0) >= _detector_threshold(dataset)]
    return ClassifyResult(
        output=request.output,
        boxes=len(nodes),
        benign_above_threshold=called.count(BENIGN),
        metastatic_above_threshold=called.count(METASTATIC),
        threshold=threshold,
        seconds=sum(record.timings_s.values()),
    )


def _start_record(request: ClassifyRequest) -> RunRecord:
    config = {
        "model": Path(request.model).name,
        "device": request.device,
        "above_threshold": request.above_threshold,
        "threshold": request.threshold,
    }
    record = RunRecord("classify", config)
    record.inputs[request.boxes.name] = sha256_of_file(request.boxes)
    return record


def _detector_threshold(dataset: CocoDataset) -> float:
    return float(dataset.info.get("operating_threshold") or 0)


def _chosen(dataset: CocoDataset, *, above_threshold: bool) -> list[NodeAnnotation]:
    """Return the boxes to classify, image by image, so that each slice is read once."""
    limit = _detector_threshold(dataset) if above_threshold else 0
    boxes = [a for a in dataset.annotations if a.score is None or a.score >= limit]
    return sorted(boxes, key=lambda box: box.image_id)


def _crop_of(box: NodeAnnotation) -> tuple[int, tuple[float, float, float, float]]:
    """Return what decides a crop: boxes of one place are cut out and classified once."""
    return box.image_id, box.box_xyxy


def _batches(
    boxes: Sequence[NodeAnnotation],
    dataset: CocoDataset,
    store: PixelStore,
    recipe: ClassifierRecipe,
) -> Iterator[ClassifierBatch]:
    images = {image.image_id: image for image in dataset.images}
    reader = CropReader(store, recipe, coverage=dataset.coverage)
    for first in range(0, len(boxes), CROPS_A_BATCH):
        part = boxes[first : first + CROPS_A_BATCH]
        crops = [_channels(reader, images[box.image_id], box, recipe) for box in part]
        yield collate_crops([(crop, NO_TRUTH) for crop in crops])


def _channels(
    reader: CropReader, image: ImageRecord, box: NodeAnnotation, recipe: ClassifierRecipe
) -> NDArray[np.float32]:
    crop = reader.read(image, box.box_xyxy)
    channels = window_stack(crop, recipe.input.windows_hu)
    return add_side(channels, image, box.box_xyxy, recipe)


def called_node(
    box: NodeAnnotation,
    probabilities: NDArray[np.float64],
    classes: Sequence[str],
    threshold: float,
) -> NodeAnnotation:
    """Return the box with its probabilities, and the category they give at the threshold."""
    named = {name: float(p) for name, p in zip(classes, probabilities, strict=True)}
    category = METASTATIC if named[CATEGORY_NAMES[METASTATIC]] >= threshold else BENIGN
    return replace(box, category_id=category, probabilities=named, threshold=threshold)


def _info(
    request: ClassifyRequest,
    dataset: CocoDataset,
    bundle: Bundle,
    threshold: float,
    form: InferenceForm,
) -> dict[str, Any]:
    chosen = bundle.threshold if request.threshold is None else None
    root = request.named_root or scan_root(request.boxes, dataset, request.scan)
    hidden = bool(dataset.info.get("pseudonymised_uids"))
    # Of boxes that were classified before, nothing that another classifier said may stay.
    kept = {k: v for k, v in dataset.info.items() if not k.startswith("classifier_")}
    return {
        **kept,
        "description": "Cervical lymph nodes, classified. Research use only.",
        "lnmdetect_version": __version__,
        **({} if hidden else {"scan_root": relative_root(root, request.output)}),
        "classifier": {
            "name": bundle.name,
            "sha256": bundle.sha256,
            "trained_on_phantoms": bundle.is_phantom,
            "temperature": bundle.temperature.value,
            **asdict(form),
        },
        "probabilities_of": "classifier",
        "classifier_threshold": threshold,
        "classifier_threshold_source": (
            f"bundle {bundle.name}: {chosen.described}" if chosen else "--threshold"
        ),
        **trained_on("classifier", bundle.trained_on),
        **chosen_on("classifier_threshold", chosen.patients if chosen else None),
        **chosen_on("classifier_temperature", bundle.temperature.patients),
    }
