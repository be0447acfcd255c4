"""A benchmark's recipe: the rows of a published table, each a change of one base recipe.

The YAML files (`lnmdetect/recipes/benchmark/<name>.yaml`) hold the source of each number.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from lnmdetect.core.config_parts import Count, Part, Share

FIGURES: dict[str, tuple[str, ...]] = {
    "detector": ("ap50", "ap", "sensitivity_at_1_fp_per_image"),
    "classifier": ("auc", "accuracy", "tpr", "tnr", "ppv", "npv"),
}
"""What is measured on the test patients; the first decides."""
Cost = Literal["parameters_m", "depth"]
COSTS: tuple[Cost, ...] = ("parameters_m", "depth")
"""What is published of a network itself: millions of parameters, weighted layers."""

RowName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_+-]*$", max_length=40)]


class BenchmarkRow(Part):
    """One model of the table.

    Attributes:
        name: as `--only` takes it, and that of the row's folder.
        label: as the paper calls the model.
        overrides: fields of the arm's recipe in place of those of base and benchmark.
        overridden: says what of the paper's training this row departs from, and why.
        published: figure to the paper's number, shares in [0, 1]; None: not known here.
        network: parameters and depth as published for the network itself, at full width and with
            ImageNet's 1000 classes.
        published_note: which data that was, and what is not known.
        note: our readings of what the paper leaves open.
        proposed: the model that all others are compared with.
    """

    name: RowName
    label: str
    overrides: dict[str, Any] = Field(default_factory=dict)
    overridden: str = ""
    published: dict[str, float | None] = Field(default_factory=dict)
    published_note: str = ""
    network: dict[Cost, float] = Field(default_factory=dict)
    note: str = ""
    proposed: bool = False


class BenchmarkSplit(Part):
    """Who is tested on.

    Attributes:
        test_share: of the patients; of the boxes where `balanced`.
        validation_share: of the boxes where `balanced`; else the arm's recipe says it.
        balanced: choose patients so that test and validation have both classes alike.
    """

    test_share: float = Field(gt=0, lt=1)
    validation_share: Share | None = None
    balanced: bool = False

    @model_validator(mode="after")
    def _check(self) -> "BenchmarkSplit":
        if self.balanced != (self.validation_share is not None):
            raise ValueError("validation_share: expected with balanced: true, and only there")
        return self


class BenchmarkLength(Part):
    """How long a training is, in place of the base's length, so that it is validated more often.

    Another base (`--base`) keeps its own length, which its schedule belongs to.
    """

    epochs: Count
    steps_an_epoch: Count


class BenchmarkRecipe(Part):
    """A published table as it is rebuilt here.

    Attributes:
        arm: of all rows.
        base: bundled recipe of the arm that every row starts from.
        overrides: fields in place of the base's, in every row.
        length: of every row's training; None: the base's.
        steps: each row adds to the one before it, so that their difference is of interest.
        correlate: performance with parameters and with depth, as Lee 2019 does.
    """

    name: RowName
    title: str
    source: str
    arm: Literal["detector", "classifier"]
    base: str = "compact"
    overrides: dict[str, Any] = Field(default_factory=dict)
    length: BenchmarkLength | None = None
    split: BenchmarkSplit
    steps: bool = False
    correlate: bool = False
    rows: tuple[BenchmarkRow, ...] = Field(min_length=1)

    @property
    def proposed(self) -> BenchmarkRow:
        """The row that the others are compared with: the one marked, else the last."""
        return next((row for row in self.rows if row.proposed), self.rows[-1])

    @model_validator(mode="after")
    def _check(self) -> "BenchmarkRecipe":
        names = [row.name for row in self.rows]
        if len(set(names)) != len(names):
            raise ValueError("rows: expected distinct names")
        if sum(row.proposed for row in self.rows) > 1:
            raise ValueError("rows: expected at most one that is proposed")
        if len({row.label for row in self.rows}) != len(self.rows):
            raise ValueError("rows: expected distinct labels")
        known = FIGURES[self.arm]
        for row in self.rows:
            for figure, value in row.published.items():
                if figure not in known:
                    raise ValueError(f"published: expected {', '.join(sorted(known))}")
                if value is not None and not 0 <= value <= 1:
                    raise ValueError(f"published {figure}: expected a share in [0, 1]")
        return self


class BenchmarkChanges(Part):
    """What the command line changes in every row; None leaves it.

    Attributes:
        base: another bundled recipe to start from.
        width: multiplier of channels; acts on the ResNet family and the detectors.
        size_px: side of a classifier's crop, of a detector's training window.
        epochs: of the training.
    """

    base: str | None = None
    width: Annotated[float, Field(gt=0, le=4)] | None = None
    size_px: Annotated[int, Field(ge=16, le=2048)] | None = None
    epochs: Count | None = None
