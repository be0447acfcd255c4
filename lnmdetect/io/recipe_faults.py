"""What is wrong with a recipe's fields, in words."""

import contextlib
import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from lnmdetect.core.config_parts import Part
from lnmdetect.core.errors import InputError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SHOWN = 60
"""Characters of a wrong value that are shown."""


@contextlib.contextmanager
def faults_named(where: str, kind: type[Part], *, what: str, remedy: str) -> Iterator[None]:
    """Turn what is wrong with the YAML of `what`, read within the block, into one sentence.

    Raises:
        InputError: it is not YAML, or its fields do not make a sound `kind`; all are named.
    """
    try:
        yield
    except yaml.YAMLError as error:
        got = " ".join(str(error).split())  # in one line
        raise InputError(where, expected="YAML", got=got, remedy=remedy) from None
    except ValidationError as error:
        faults = error.errors()
        raise InputError(
            f"{where}: {', '.join(map(fault_fields, faults))}",
            expected=f"the fields of a {what}, each in its range",
            got="; ".join(fault_sentence(fault, kind) for fault in faults),
            remedy=remedy,
        ) from None


def fault_fields(fault: "ErrorDetails") -> str:
    """Return the name of the field at fault, with those it lies in, `top level` for the whole."""
    return ".".join(str(part) for part in fault["loc"]) or "top level"


def fault_sentence(fault: "ErrorDetails", recipe: type[Part]) -> str:
    """Return what is wrong with one field of a recipe of this kind."""
    name, kind = fault_fields(fault), fault["type"]
    if kind == "extra_forbidden":
        return f"unknown field {name}{_meant(fault['loc'], recipe)}"
    if kind == "missing":
        return f"missing field {name}"
    if kind == "value_error":
        return fault["msg"].removeprefix("Value error, ")
    rule = fault["msg"].removeprefix("Input ")
    return f"{name} {rule}, but is {repr(fault['input'])[:_SHOWN]}"


def _meant(place: tuple[int | str, ...], recipe: type[Part]) -> str:
    """Return the known field that a misspelt one is closest to, as a question."""
    part: Any = recipe
    for step in place[:-1]:
        field = part.model_fields.get(step) if hasattr(part, "model_fields") else None
        part = field.annotation if field is not None else None
    known = list(part.model_fields) if hasattr(part, "model_fields") else []
    close = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
