"""Where a bundle made from another one may be written."""

from pathlib import Path

from lnmdetect.core.errors import OutputError
from lnmdetect.io.bundles import Bundle, package_weights, refuse_bundle
from lnmdetect.io.json_files import require_folder


def refuse_output(output: Path, source: Bundle, *, overwrite: bool) -> None:
    """Return nothing where a bundle made from `source` may be written; to be asked before the work.

    Args:
        output: its folder.
        source: stays as it is.
        overwrite: whether another bundle may be replaced.

    Raises:
        OutputError: it may not.
    """
    for kept, got in (
        (source.folder.resolve(), "the folder of the model itself"),
        (package_weights().resolve(), "a folder of the installed package"),
    ):
        if output.resolve().is_relative_to(kept):
            raise OutputError(
                output.name,
                expected="a new folder for the bundle",
                got=got,
                remedy="Choose another --output; an existing model stays as it is.",
            )
    require_folder(output)
    refuse_bundle(output, overwrite=overwrite)
