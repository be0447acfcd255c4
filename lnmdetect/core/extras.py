"""Optional packages: there, or named with the extra that brings them."""

import importlib.util

from lnmdetect.core.errors import MissingExtraError


def require_package(module: str, *, where: str, package: str, extra: str) -> None:
    """Do nothing where a package is installed; it is not imported.

    Args:
        module: the name it is imported by.
        where: what asks for it.
        package: its name and what it does.
        extra: of lnmdetect, that brings it.

    Raises:
        MissingExtraError: it is not installed.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(
            where,
            expected=f"the package {package}",
            got="none installed",
            remedy=f"Install it with: pip install 'lnmdetect[{extra}]'.",
        )
