"""`lnmdetect models`: the installed bundles and what they reached where they were validated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from lnmdetect.core.precision import EXACT, Engine, Precision
from lnmdetect.io.bundles import bundle_folders, read_bundle
from lnmdetect.io.recipes import Arm


@dataclass(frozen=True)
class InstalledModel:
    """A bundle that `--model` takes by name.

    Attributes:
        figures: on its validation patients.
        megabytes: of the weights.
        node_threshold: of a segmenter, on a node's score; `threshold` is that on a voxel's.
        precisions: in which it answers by default, by engine, where the processor computes so;
            engines on which nothing was checked are left out, but for torch.
    """

    arm: str
    name: str
    recipe: str
    is_phantom: bool
    threshold: float
    threshold_rule: str
    figures: Mapping[str, Any]
    megabytes: float
    sha256: str
    node_threshold: float | None = None
    precisions: Mapping[Engine, Precision] = field(
        default_factory=lambda: {EXACT.engine: EXACT.precision}
    )


def installed_models() -> tuple[InstalledModel, ...]:
    """Return every installed bundle, detectors first.

    Raises:
        ModelError: a bundle is damaged.
    """
    return tuple(
        _describe(arm, name) for arm in get_args(Arm) for name in sorted(bundle_folders(arm))
    )


def _describe(arm: Arm, name: str) -> InstalledModel:
    bundle = read_bundle(name, arm)
    return InstalledModel(
        arm=arm,
        name=name,
        recipe=bundle.recipe.name,
        is_phantom=bundle.is_phantom,
        threshold=bundle.threshold.value,
        threshold_rule=bundle.threshold.rule,
        figures=bundle.figures,
        megabytes=round((bundle.folder / "weights.safetensors").stat().st_size / 1e6, 2),
        sha256=bundle.sha256,
        node_threshold=bundle.node_threshold.value if bundle.node_threshold else None,
        precisions={
            engine: bundle.usual_precision(engine)
            for engine in get_args(Engine)
            if engine == EXACT.engine or bundle.checked_with(engine)
        },
    )
