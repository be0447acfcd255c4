"""The card of a bundle: what it is, what it was trained on and what to expect."""

from typing import get_args

from lnmdetect.core.config import ClassifierRecipe, Recipe
from lnmdetect.core.fusion_config import FusionConfig, FusionRecipe
from lnmdetect.core.precision import EXACT, TOLERANCE, CheckedForm, Engine
from lnmdetect.core.segmenter_config import SegmenterRecipe
from lnmdetect.core.thresholds import Temperature
from lnmdetect.core.wording import counted
from lnmdetect.io.bundles import Bundle

_PROPOSED = "resnet50"
"""The network of the bundled recipes' source (Wang et al. 2023, section 3.1.2)."""
_PHANTOM_NOTE = (
    "It was trained on synthetic (phantom) scans only. Every figure below is a phantom figure;\n"
    "on real scans it shows that the pipeline works, not how well nodes can be found."
)
_ULTRASOUND_NOTE = (
    "It was trained on synthetic (phantom) images only. Every figure below is a phantom figure;\n"
    "on real images it shows that the pipeline works, not how well metastasis can be told."
)


def bundle_card(bundle: Bundle) -> str:
    """Return the card as Markdown."""
    recipe = bundle.recipe
    figures = "\n".join(f"| {name} | {_shown(value)} |" for name, value in bundle.figures.items())
    data = "\n".join(f"- {name}: {value}" for name, value in bundle.data.items())
    threshold = bundle.threshold
    label = "phantom validation patients" if bundle.is_phantom else "validation patients"
    return f"""# {recipe.arm} `{bundle.name}`

Research software, not a medical device.

{_origin(bundle)}

- Recipe: `{recipe.name}`, {recipe.source}{_network(recipe)}
{_input_lines(recipe)}
{_segmenter_lines(recipe)}- {_threshold_of(recipe)}: {threshold.value:.4f}; {threshold.rule},
  chosen on {threshold.chosen_on}
{_node_threshold_line(bundle)}{_temperature_line(bundle)}{data}

| figure ({label}) | value |
|---|---|
{figures}
{_int8_line(bundle)}{_checked_lines(bundle)}"""


def _origin(bundle: Bundle) -> str:
    """Return whether a model has only seen phantoms, in words."""
    if isinstance(bundle.recipe, FusionRecipe):
        return _ULTRASOUND_NOTE if bundle.is_phantom else "It was trained on the user's own images."
    return _PHANTOM_NOTE if bundle.is_phantom else "It was trained on the user's own scans."


def _input_lines(recipe: Recipe) -> str:
    """Return the lines that tell what the network sees."""
    if isinstance(recipe, FusionRecipe):
        return _fusion_lines(recipe.model)
    return (
        f"- Input: {recipe.input.channels} channels, windows {list(recipe.input.windows_hu)} HU,\n"
        f"  slices at {list(recipe.input.slice_offsets_mm)} mm"
    )


def _fusion_lines(model: FusionConfig) -> str:
    scales = {"bmode": model.normalisation.bmode, "ceus": model.normalisation.ceus}
    normalised = "".join(
        f"\n- Pixels of {name} (0 to 1): mean {scale.mean:.4f}, standard deviation {scale.sd:.4f}"
        for name, scale in scales.items()
        if scale is not None and name in model.modalities
    )
    frames = f", {model.frames} frames of ceus" if model.frames > 1 else ""
    return (
        f"- Input: {', '.join(model.modalities)}; images of {model.size_px} px{frames},\n"
        f"  {model.backbone} at width {model.width:g}, fusion {model.fusion}{normalised}"
    )


def _threshold_of(recipe: Recipe) -> str:
    is_segmenter = isinstance(recipe, SegmenterRecipe)
    return "Threshold of a voxel's P(node)" if is_segmenter else "Operating threshold"


def _network(recipe: Recipe) -> str:
    """Return the words that name another network than the one which recipes' sources propose."""
    if not isinstance(recipe, ClassifierRecipe) or recipe.model.backbone == _PROPOSED:
        return ""
    return f",\n  with the network {recipe.model.backbone} in its place"


def _segmenter_lines(recipe: Recipe) -> str:
    """Return the lines that only a segmenter's card has: its classes, grid and patch."""
    if not isinstance(recipe, SegmenterRecipe) or recipe.plan is None:
        return ""
    voxel, patch = (
        " x ".join(map(str, sides)) for sides in (recipe.plan.spacing_mm, recipe.plan.patch)
    )
    return (
        f"- Classes: {', '.join(recipe.model.classes)}\n"
        f"- Voxels of {voxel} mm, patches of {patch} (z x row x column)\n"
    )


def _node_threshold_line(bundle: Bundle) -> str:
    of_nodes = bundle.node_threshold
    if of_nodes is None:
        return ""
    return (
        f"- Threshold of a node's score: {of_nodes.value:.4f}; {of_nodes.rule},\n"
        f"  chosen on {of_nodes.chosen_on}\n"
    )


def _temperature_line(bundle: Bundle) -> str:
    temperature = bundle.temperature
    if temperature == Temperature():
        return ""
    return f"- Temperature: {temperature.value:.4f}, fitted on {temperature.fitted_on}\n"


def _int8_line(bundle: Bundle) -> str:
    form = bundle.quantised
    if form is None:
        return ""
    return (
        f"\nIts int8 form was calibrated on {counted(form.slices, 'slice')} of "
        f"{form.calibrated_on} (seed {form.seed}).\n"
    )


def _checked_lines(bundle: Bundle) -> str:
    """Return the figures that let faster forms of the network be the default ones."""
    return "".join(
        _form_lines(form, is_newest=number == 0)
        for engine in get_args(Engine)
        for number, form in enumerate(bundle.checked_with(engine))
    )


def _form_lines(checked: CheckedForm, *, is_newest: bool) -> str:
    """Return the figures of a form; the newest one of its engine is the default."""
    rows = "\n".join(
        f"| {figure.name} | {figure.exact:.4f} | {figure.other:.4f} | {figure.moved:+.4f} |"
        for figure in checked.figures
    )
    form = checked.form.described
    says = f"By default this model answers in {form}"
    engine, precision = checked.form.engine, checked.form.precision
    if engine != EXACT.engine:
        says = f"With --engine {engine} it answers in {precision} by default"
    where = "where the processor computes so"
    if not is_newest:
        says, where = f"It was checked in {form} too", "the default where that above cannot be"
    if not checked.can_be_default:
        says, where = f"It was checked in {form}", f"for --precision {precision} alone"
    return (
        f"\n{says}, {where}: on\n"
        f"{checked.checked_on}, each figure stayed within {TOLERANCE} of that in fp32."
        f"{_processor(checked)}\n\n"
        f"| figure | {EXACT.described} | {form} | moved |\n|---|---|---|---|\n{rows}\n"
    )


def _processor(checked: CheckedForm) -> str:
    if not checked.can_be_default:
        return "\nThe system of the check did not tell which instructions its processor has."
    has = ", ".join(checked.cpu_flags)
    return f"\nThe processor of the check had {has}." if has else ""


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
