"""`lnmdetect train detector|classifier|segmenter|fusion`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk
from lnmdetect.core.errors import UsageError
from lnmdetect.io.machine import rank_place

if TYPE_CHECKING:
    from lnmdetect.stages.training_run import TrainRequest, TrainResult

Arm = Literal["detector", "classifier", "segmenter", "fusion"]
_NEXT = {
    "detector": ("detect", "scan/"),
    "classifier": ("classify", "boxes.json"),
    "segmenter": ("segment", "scan/"),
    "fusion": ("fuse", "ultrasound.json"),
}
RecipeName = Annotated[
    str,
    typer.Option(
        "--recipe",
        help="compact (any arm), wang2023 (detector, classifier), tzuchi2023, tzuchi2023-coarse "
        "(segmenter), guang2023, compact-vgg11, compact-inception_v3 (fusion), or a .yaml of your "
        "own.",
    ),
]
Folds = Annotated[Path | None, typer.Option("--folds", help="folds.json of lnmdetect split.")]
Init = Annotated[
    str | None,
    typer.Option("--init", help="imagenet, or a file of its weights: start from them."),
]
Coarse = Annotated[
    str | None,
    typer.Option("--coarse", help="segmenter: bundle of a cascade's first, coarser stage."),
]
Classes = Annotated[
    Literal["three", "two", "one"] | None,
    typer.Option(
        "--classes",
        help="segmenter: three (negative, positive, extranodal extension), two (negative, "
        "metastatic: the positive ones merged) or one (node: all merged); else the recipe's.",
    ),
]
Modalities = Annotated[
    str | None,
    typer.Option(
        "--modalities", help="fusion: some of bmode,ceus,finding; else those of the recipe."
    ),
]
Backbone = Annotated[
    Literal["resnet50", "vgg11", "inception_v3"] | None,
    typer.Option("--backbone", help="fusion: network of each image; else the recipe's."),
]
Fold = Annotated[
    str | None, typer.Option("--fold", help="The fold that is not touched: 1 .. k, or test.")
]

Resume = Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")]
Accumulate = Annotated[
    int | None,
    typer.Option(
        "--accumulate",
        min=1,
        help="Batches whose gradients are averaged for one step: a larger batch in the same "
        "memory; else the recipe's.",
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers", min=0, max=64, help="Processes that prepare batches; 0: a thread of this one."
    ),
]


def train(
    arm: Annotated[Arm, typer.Argument(help="The stage to train.")],
    data: Annotated[Path, typer.Option("--data", help="truth.json; fusion: ultrasound.json.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the run.")],
    recipe: RecipeName = "compact",
    folds: Folds = None,
    fold: Fold = None,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    scan: options.Scan = None,
    init: Init = None,
    coarse: Coarse = None,
    classes: Classes = None,
    modalities: Modalities = None,
    backbone: Backbone = None,
    resume: Resume = False,
    workers: Workers = 0,
    accumulate: Accumulate = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a stage on your own scans or on phantoms: writes a model bundle and learning curves.

    The arm fusion learns from ultrasound.json (`lnmdetect phantom ultrasound` writes one): its
    test patients are never touched, its validation patients, else a fifth of the others, choose
    epoch and threshold. Several CEUS frames, gated fusion and modality_dropout are lines of a
    recipe of your own: name: mine, base: compact, model: {frames: 3, fusion: gated}.

    Several processes train one model: torchrun --nproc-per-node 2 -m lnmdetect train ARM ...; they
    divide each batch of the recipe.
    """
    from lnmdetect.stages.training_run import TrainRequest

    is_first = rank_place().rank == 0  # of the processes of torchrun, of which one speaks
    talk = Talk(quiet or not is_first, verbose, as_json and is_first)
    _refuse_elsewhere("segmenter", arm, {"--coarse": coarse, "--classes": classes})
    _refuse_elsewhere("fusion", arm, {"--modalities": modalities, "--backbone": backbone})
    request = TrainRequest(
        data,
        recipe=recipe,
        output=output,
        device=device,
        seed=seed,
        scan=scan,
        init=init,
        coarse=coarse,
        classes=classes,
        modalities=modalities,
        backbone=backbone,
        resume=resume,
        overwrite=overwrite,
        workers=workers,
        accumulate=accumulate,
        folds=folds,
        fold=fold,
    )
    _say(_train(arm, request, talk), arm, talk)


def _say(result: "TrainResult", arm: Arm, talk: Talk) -> None:
    """Tell what a training reached, once its processes have parted."""
    from lnmdetect.cli_tables import train_text
    from lnmdetect.training.ranks import leave_ranks

    leave_ranks()
    talk.result(result, text=train_text(result))
    talk.notes(result.notes)
    talk.hint("lnmdetect", *_NEXT[arm], "--model", result.bundle)


def _refuse_elsewhere(owner: Arm, arm: Arm, given: Mapping[str, str | None]) -> None:
    """Do nothing unless an option that only the arm `owner` has is given to another.

    Raises:
        UsageError: it is.
    """
    for option, value in given.items():
        if value is not None and arm != owner:
            raise UsageError(
                option,
                expected=f"lnmdetect train {owner}",
                got=f"lnmdetect train {arm}",
                remedy=f"Leave it out: only a {owner} has it.",
            )


def _train(arm: Arm, request: "TrainRequest", talk: Talk) -> "TrainResult":
    if arm == "detector":
        from lnmdetect.stages.train_detector import train_detector

        return train_detector(request, talk)
    if arm == "segmenter":
        from lnmdetect.cli_tables import plan_table
        from lnmdetect.stages.train_segmenter import train_segmenter

        return train_segmenter(request, talk, show=lambda plan: talk.table(plan_table(plan)))
    if arm == "fusion":
        from lnmdetect.stages.train_fusion import train_fusion

        return train_fusion(request, talk)
    from lnmdetect.stages.train_classifier import train_classifier

    return train_classifier(request, talk)
