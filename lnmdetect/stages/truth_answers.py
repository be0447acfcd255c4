"""What prediction files say about the class of each truth box."""

import numpy as np
from numpy.typing import NDArray

from lnmdetect.core.records import BENIGN, METASTATIC
from lnmdetect.metrics.answers import Answers, answers_on_truth
from lnmdetect.metrics.matching import match_tables
from lnmdetect.stages.evaluation_inputs import Predictions
from lnmdetect.stages.evaluation_truth import Truth


def truth_answers(found: Predictions) -> Answers:
    """Return what a file says of each truth box: of the box itself, or of one above threshold."""
    chosen = found.above
    if chosen is None:
        chosen = np.ones(len(found.rows), dtype=bool)
    return answers_on_truth(match_tables(found.tables), found.said, chosen)


def known_truth(truth: Truth) -> NDArray[np.bool_]:
    """Return (G,) which truth boxes count and are benign or metastatic."""
    table = truth.table
    return np.asarray(~table.ignored & np.isin(table.classes, (BENIGN, METASTATIC)))
