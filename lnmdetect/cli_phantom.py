"""`lnmdetect phantom`: synthetic neck scans and ultrasound images with known truth."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk, complain

app = typer.Typer(
    help="Make synthetic neck CT with known nodes, or ultrasound of carcinomas.",
    no_args_is_help=True,
)

Setting = Literal["training", "lifelike"]


@contextmanager
def incomplete_if_interrupted(
    output: Path, what: str = "scans", truth: str = "truth.json"
) -> Iterator[None]:
    """Say what Ctrl-C leaves: scans without their truth.json, which is written last.

    Raises:
        typer.Exit: with code 130, where Ctrl-C was pressed.
    """
    try:
        yield
    except KeyboardInterrupt:
        complain(
            f"Interrupted: {output} is incomplete, {what} without {output / truth}. "
            "Run again with --overwrite to replace it."
        )
        raise typer.Exit(130) from None


@app.command()
def ct(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for scan/ and truth.json.")
    ],
    patients: Annotated[int, typer.Option("--patients", help="How many patients.")] = 1,
    seed: options.Seed = 0,
    setting: Annotated[
        Setting,
        typer.Option("--setting", help="training varies far wider than life, lifelike does not."),
    ] = "training",
    key_images: Annotated[
        int | None,
        typer.Option("--key-images", min=1, help="At most so many slices a patient, with nodes."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes; all cores by default.")
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Write CT series as DICOM, one folder a patient, and their truth.json."""
    from lnmdetect.cli_tables import phantom_text
    from lnmdetect.stages.phantom import PhantomRequest, make_ct_phantoms

    talk = Talk(quiet, verbose, as_json)
    request = PhantomRequest(
        patients,
        seed,
        output,
        setting=setting,
        key_images=key_images,
        overwrite=overwrite,
        workers=workers,
    )
    with incomplete_if_interrupted(output):
        result = make_ct_phantoms(request, talk)
    talk.result(result, text=phantom_text(result))
    talk.hint("lnmdetect", "detect", result.scan, "-o", output / "boxes.json")


@app.command()
def insert(
    onto: Annotated[Path, typer.Option("--onto", help="CT series: folder, file or zip.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for scan/ and truth.json.")
    ],
    nodes: Annotated[int, typer.Option("--nodes", help="How many nodes a scan.")] = 12,
    seed: options.Seed = 0,
    series: options.Series = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Put synthetic nodes into a real scan: writes a new series and the truth.json of the nodes."""
    from lnmdetect.cli_tables import inserted_text
    from lnmdetect.stages.phantom_insert import InsertRequest, insert_phantom_nodes

    talk = Talk(quiet, verbose, as_json)
    request = InsertRequest(onto, output, nodes, seed=seed, series=series, overwrite=overwrite)
    with incomplete_if_interrupted(output):
        result = insert_phantom_nodes(request, talk)
    talk.result(result, text=inserted_text(result))
    talk.notes(result.notes)
    talk.hint("lnmdetect", "detect", result.scan, "-o", output / "boxes.json")
    talk.stop_if_partial(result.failures)


@app.command()
def ultrasound(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for images/ and ultrasound.json.")
    ],
    patients: Annotated[int, typer.Option("--patients", help="How many patients.")] = 1,
    seed: options.Seed = 0,
    ceus_frames: Annotated[
        int,
        typer.Option("--ceus-frames", help="Contrast frames a case, around the peak."),
    ] = 1,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Processes; all cores by default.")
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Write B-mode and contrast-enhanced PNGs of thyroid carcinomas, and their ultrasound.json."""
    from lnmdetect.cli_tables import ultrasound_phantom_text
    from lnmdetect.stages.phantom_ultrasound import (
        UltrasoundPhantomRequest,
        make_ultrasound_phantoms,
    )

    talk = Talk(quiet, verbose, as_json)
    request = UltrasoundPhantomRequest(
        patients, seed, output, ceus_frames=ceus_frames, overwrite=overwrite, workers=workers
    )
    with incomplete_if_interrupted(output, "images", "ultrasound.json"):
        result = make_ultrasound_phantoms(request, talk)
    talk.result(result, text=ultrasound_phantom_text(result))
    talk.hint("lnmdetect", "train", "fusion", "--data", result.ultrasound, "-o", "runs/fusion")
