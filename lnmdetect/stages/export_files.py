"""Where `lnmdetect export` writes: never over its inputs, their records or what others made."""

from collections.abc import Sequence
from pathlib import Path

from lnmdetect.core.errors import UsageError
from lnmdetect.core.wording import counted
from lnmdetect.io.json_files import refuse_existing
from lnmdetect.io.run_record import record_path


def check_output(output: Path, inputs: Sequence[Path], *, overwrite: bool) -> None:
    """Return nothing when `output` may be written; to be asked before the work.

    Raises:
        UsageError: it is one of the inputs, which are kept even with `overwrite`.
        OutputError: it exists and `overwrite` is false, or its folder may not be written.
    """
    if output.resolve() in {path.resolve() for path in inputs}:
        raise UsageError(
            "--output",
            expected="another file than those that are read",
            got=output.name,
            remedy="Choose another --output.",
        )
    refuse_existing(output, overwrite=overwrite)


def export_record_path(output: Path, inputs: Sequence[Path]) -> Path:
    """Return where the record goes: `sr.run.json`, but `nodes.csv.run.json` beside nodes.json's."""
    usual = record_path(output)
    taken = {record_path(path).resolve() for path in inputs}
    return output.with_name(f"{output.name}.run.json") if usual.resolve() in taken else usual


def numbered(output: Path, count: int) -> tuple[Path, ...]:
    """Return where `count` objects go: `sr.dcm`, or `sr_1.dcm`, `sr_2.dcm` and on."""
    if count == 1:
        return (output,)
    return tuple(output.with_stem(f"{output.stem}_{n}") for n in range(1, count + 1))


def left_behind(output: Path, outputs: Sequence[Path]) -> list[str]:
    """Return a note on objects of an earlier export that lie beside the new ones, if there are any.

    They are told and not deleted: whoever pushes the folder would send them along.
    """
    start = f"{output.stem}_"
    siblings = output.parent.glob(f"*{output.suffix}")
    earlier = sorted(
        path.name
        for path in siblings
        if path == output or (path.stem.startswith(start) and path.stem[len(start) :].isdecimal())
        if path not in outputs
    )
    if not earlier:
        return []
    shown = ", ".join(earlier[:3]) + ", ..." * (len(earlier) > 3)
    return [f"{counted(len(earlier), 'file')} of an earlier export beside these: {shown}"]
