"""In which form a bundle's network answers when nobody says, or when somebody does."""

import logging

import torch

from lnmdetect.core.precision import Engine, InferenceForm, Precision
from lnmdetect.io.bundles import Bundle
from lnmdetect.training.devices import computes_bf16
from lnmdetect.training.engines import refuse_unknown

_LOG = logging.getLogger(__name__)


def chosen_form(
    bundle: Bundle, device: torch.device, precision: Precision | None, engine: Engine
) -> InferenceForm:
    """Return the form that is asked for, else the fastest in which the bundle answers as in fp32.

    Args:
        bundle: its card says in which form it was checked.
        device: where it runs.
        precision: None takes that in which the bundle was checked with this engine, where the
            processor computes in it, else fp32.
        engine: what runs the network.

    Raises:
        UsageError: the engine cannot compute in this precision.
    """
    form = InferenceForm(precision or _usual_precision(bundle, device, engine), engine)
    refuse_unknown(form)
    _LOG.info("%s %s answers in %s", bundle.recipe.arm, bundle.name, form.described)
    return form


def _usual_precision(bundle: Bundle, device: torch.device, engine: Engine) -> Precision:
    usual = bundle.usual_precision(engine)
    return "fp32" if usual == "bf16" and not computes_bf16(device) else usual
