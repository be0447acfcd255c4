"""In which form a bundle's network answers when nobody says, or when somebody does."""

import logging

import torch

from lnmdetect.core.precision import Engine, InferenceForm, Precision
from lnmdetect.io.bundles import Bundle, quantised_file
from lnmdetect.io.machine_facts import cpu_flags
from lnmdetect.training.devices import computes_bf16
from lnmdetect.training.engines import (
    calibrated,
    refuse_absent,
    refuse_quantised_classifier,
    refuse_unknown,
)

_LOG = logging.getLogger(__name__)


def chosen_form(
    bundle: Bundle, device: torch.device, precision: Precision | None, engine: Engine
) -> InferenceForm:
    """Return the form that is asked for, else the one in which the bundle answers as in fp32.

    What `models check` has shown is of a CPU: elsewhere that one is fp32.

    Args:
        bundle: its card says in which form it was checked.
        device: where it runs.
        precision: None takes that in which the bundle was last checked with this engine and in
            which this CPU computes, else fp32.
        engine: what runs the network.

    Raises:
        UsageError: the engine cannot compute in this precision.
    """
    form = InferenceForm(precision or _usual_precision(bundle, device, engine), engine)
    refuse_unknown(form)
    _LOG.info("%s %s answers in %s", bundle.recipe.arm, bundle.name, form.described)
    return form


def refuse_form(bundle: Bundle, precision: Precision | None, engine: Engine) -> None:
    """Return nothing where a bundle's network can be had in a form; to be asked before the work.

    Args:
        bundle: a detector or a classifier.
        precision: None takes that in which the bundle was last checked with this engine.
        engine: what runs the network.

    Raises:
        MissingExtraError: the engine is not installed.
        ModelError: the detector has no int8 form, or its files are not those it was written with.
        UsageError: the engine cannot compute in this precision, or no classifier can.
    """
    form = InferenceForm(precision or bundle.usual_precision(engine), engine)
    refuse_unknown(form)
    refuse_absent(engine)
    if bundle.recipe.arm == "classifier":
        refuse_quantised_classifier(form)
    elif form.precision == "int8":
        calibrated(quantised_file(bundle))


def _usual_precision(bundle: Bundle, device: torch.device, engine: Engine) -> Precision:
    if device.type != "cpu":
        return "fp32"
    flags = cpu_flags()
    for checked in bundle.checked_with(engine):
        precision = checked.form.precision
        if checked.holds_with(flags) and (precision != "bf16" or computes_bf16(device)):
            return precision
    return "fp32"
