"""Networks in the form that is asked for, by the library that runs them."""

from collections.abc import Mapping
from typing import TypeVar

from torch import nn

from lnmdetect.core.errors import UsageError
from lnmdetect.core.precision import Engine, InferenceForm, Precision
from lnmdetect.models.inference import inference_form

Network = TypeVar("Network", bound=nn.Module)

PRECISIONS: Mapping[Engine, tuple[Precision, ...]] = {"torch": ("fp32", "bf16")}
"""What each engine can compute in."""


def network_in(form: InferenceForm, network: Network) -> Network:
    """Return a copy of a network for inference alone, in a form.

    Args:
        form: one of `PRECISIONS`.
        network: as it was trained.

    Raises:
        UsageError: the engine is not known, or cannot compute in this precision.
    """
    refuse_unknown(form)
    return inference_form(network, form.precision)


def refuse_unknown(form: InferenceForm) -> None:
    """Return nothing where a form can be had.

    Raises:
        UsageError: it cannot.
    """
    known = PRECISIONS.get(form.engine, ())
    if form.precision not in known:
        forms = [f"{p} on {engine}" for engine, ps in PRECISIONS.items() for p in ps]
        raise UsageError(
            "--precision, --engine",
            expected=f"one of {', '.join(forms)}",
            got=form.described,
            remedy="Use one of these, or leave both out.",
        )
