"""The command line: each command builds a request, calls one stage and prints what it returned.

Stages are imported inside the commands, so that `lnmdetect --help` does not wait for torch.
"""

from typing import Annotated

import typer

from lnmdetect import (
    __version__,
    cli_benchmark,
    cli_calibrate,
    cli_cohort,
    cli_convert,
    cli_doctor,
    cli_evaluate,
    cli_explain,
    cli_export,
    cli_fuse,
    cli_models,
    cli_nodes,
    cli_pacs,
    cli_phantom,
    cli_report,
    cli_segment,
    cli_speed,
    cli_split,
    cli_stages,
    cli_train,
)
from lnmdetect.cli_console import EXIT_CODES, GuardedGroup

app = typer.Typer(
    name="lnmdetect",
    cls=GuardedGroup,
    help="Find cervical lymph nodes on neck CT, say how likely each is metastatic, and "
    "evaluate it. Research software, not a medical device.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"lnmdetect {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Hold the options that stand before a command."""


app.command()(cli_doctor.doctor)
app.command()(cli_stages.detect)
app.command()(cli_stages.classify)
app.command()(cli_segment.segment)
app.command()(cli_fuse.fuse)
app.command("eval")(cli_evaluate.evaluate)
app.command()(cli_nodes.nodes)
app.command()(cli_stages.run)
app.command()(cli_cohort.cohort)
app.command()(cli_stages.overlay)
app.command()(cli_report.report)
app.command()(cli_explain.explain)
app.add_typer(cli_export.app, name="export")
app.add_typer(cli_convert.app, name="convert")
app.command()(cli_split.split)
app.command()(cli_train.train)
app.command()(cli_calibrate.calibrate)
app.command()(cli_benchmark.benchmark)
app.command()(cli_speed.speed)
app.add_typer(cli_phantom.app, name="phantom")
app.add_typer(cli_pacs.app, name="pacs")
app.command()(cli_models.anchors)
app.command()(cli_models.baselines)
app.add_typer(cli_models.app, name="models")


def main() -> None:
    """Run the program and exit with its code."""
    app()
