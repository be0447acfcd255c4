"""`lnmdetect split`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lnmdetect import cli_options as options
from lnmdetect.cli_console import Talk, complain
from lnmdetect.core.errors import InputError, UsageError

if TYPE_CHECKING:
    from lnmdetect.stages.split import SplitRequest, SplitResult

Protocol = Annotated[
    Literal["by_patient", "wang2023"],
    typer.Option(help="wang2023: the paper's optimistic deal, for reproduction only."),
]
Folds = Annotated[int | None, typer.Option(min=2, help="Number of folds.", show_default="5")]
By = Annotated[str, typer.Option(help="What is never divided; only patient.")]
Stratify = Annotated[
    list[str] | None,
    typer.Option(
        help="Spread evenly: class, level, kind or any column of truth.json; repeatable; "
        "none spreads patients alone.",
        metavar="COLUMN",
        show_default="class",
    ),
]
Site = Annotated[
    str | None, typer.Option(help="Keep each value of this column in one fold.", metavar="COLUMN")
]
TestShare = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Hold this share of the patients out as a test part; alone: no folds."
    ),
]
FoldsFile = Annotated[
    Path | None, typer.Option(help="Take these folds instead of dealing.", metavar="folds.json")
]
WriteTruth = Annotated[
    Path | None,
    typer.Option(help="Folder for a truth file of each fold, as detect and eval take them."),
]


Files = Annotated[
    list[Path],
    typer.Argument(
        help="truth.json or ultrasound.json to deal; with --audit a folds.json, or truth files, "
        "one a fold.",
        metavar="FILES...",
    ),
]
Audit = Annotated[
    bool, typer.Option("--audit", help="Deal nothing: name what stands in two folds; then exit 3.")
]
Truth = Annotated[Path | None, typer.Option(help="With --audit: truth.json of the folds.json.")]
Scan = Annotated[
    Path | None,
    typer.Option(help="With --audit: where the pixels are, if not where the file says."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="With --audit: nearly identical pixels are leaks too.")
]


def split(
    files: Files,
    folds: Folds = None,
    by: By = "patient",
    stratify: Stratify = None,
    site: Site = None,
    test_share: TestShare = None,
    protocol: Protocol = "by_patient",
    seed: options.Seed = 0,
    folds_file: FoldsFile = None,
    write_truth: WriteTruth = None,
    output: options.Output = Path("folds.json"),
    audit: Audit = False,
    truth: Truth = None,
    scan: Scan = None,
    strict: Strict = False,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Deal a truth file into folds by patient, or audit folds: writes folds.json for train."""
    talk = Talk(quiet, verbose, as_json)
    if audit:
        return _audit(files, truth, scan, strict=strict, talk=talk)
    _require_one_file(files, truth or scan or strict)
    from lnmdetect.stages.split import SplitRequest

    request = SplitRequest(
        files[0],
        output=output,
        folds=folds,
        by=by,
        stratify=None if not stratify else tuple(stratify),
        site=site,
        test_share=test_share,
        protocol=protocol,
        seed=seed,
        folds_file=folds_file,
        write_truth=write_truth,
        overwrite=overwrite,
    )
    _deal(request, talk)


def _require_one_file(files: list[Path], audit_option: object) -> None:
    if len(files) > 1 or audit_option:
        raise UsageError(
            "split",
            expected="one truth.json, without --truth, --scan and --strict",
            got=f"{len(files)} files" if len(files) > 1 else "an option of --audit",
            remedy="To look for leaks add --audit; to deal name the one file that holds all.",
        )


def _audit(
    files: list[Path], truth: Path | None, scan: Path | None, *, strict: bool, talk: Talk
) -> None:
    from lnmdetect.cli_split_tables import audit_tables, leak_sentence
    from lnmdetect.stages.split_audit import AuditRequest
    from lnmdetect.stages.split_audit import audit as stage

    result = stage(AuditRequest(tuple(files), truth, scan, strict), talk)
    talk.table(audit_tables(result))
    talk.json(result)
    if result.warning is not None:
        talk.note(f"Warning: the folds are {result.warning}.")
    talk.notes(result.notes)
    if result.failed:
        complain(leak_sentence(result))
        raise typer.Exit(InputError.exit_code)


def _deal(request: "SplitRequest", talk: Talk) -> None:
    from lnmdetect.cli_split_tables import fold_tables
    from lnmdetect.io.fold_file import folds_to_json
    from lnmdetect.stages.split import split as stage

    result = stage(request)
    talk.table(fold_tables(result.folds))
    talk.json({**folds_to_json(result.folds), "output": result.output, "notes": result.notes})
    _say_what_follows(talk, request.truth, result)


def _say_what_follows(talk: Talk, truth: Path, result: "SplitResult") -> None:
    if result.folds.warning is not None:
        talk.note(f"Warning: {result.folds.warning}.")
    talk.notes(result.notes)
    for path in result.truth_files:
        talk.note(f"Written: {path}")
    fold = "test" if result.folds.names[0] == "train" else result.folds.names[0]
    chosen = ("--folds", result.output, "--fold", fold)
    talk.hint("lnmdetect", "train", result.arm, "--data", truth, *chosen, "-o", f"runs/{fold}")
