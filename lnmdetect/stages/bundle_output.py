"""A bundle made from another one: where it may be written, its name, and whom it rests on."""

from pathlib import Path

from lnmdetect.core.errors import OutputError
from lnmdetect.core.wording import counted
from lnmdetect.io.bundles import Bundle, package_weights, refuse_bundle
from lnmdetect.io.json_files import require_folder
from lnmdetect.io.recipes import Arm


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
                expected="a new folder",
                got=got,
                remedy="Choose another --output; an existing model stays as it is.",
            )
    require_folder(output)
    refuse_bundle(output, overwrite=overwrite)


def bundle_name(output: Path, arm: Arm) -> str:
    """Return the name of a bundle by its folder, which may begin with the arm as installed ones."""
    return output.resolve().name.removeprefix(f"{arm}-")


def patients_in_words(number: int, sort: str, *, is_phantom: bool) -> str:
    """Return how many patients of which sort a bundle rests on, for its config and its card.

    Args:
        number: of them.
        sort: one of them, as `held-out patient`.
        is_phantom: whether they are synthetic.
    """
    told = counted(number, sort)
    return f"{told}, phantoms" if is_phantom else told
