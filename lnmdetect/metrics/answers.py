"""What a model or a reader said about each truth box: the ground on which two are compared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lnmdetect.metrics.end_to_end import BoxClasses, classified_hits
from lnmdetect.metrics.matching import Matches

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Answers on G truth boxes.

    Attributes:
        given: (G,) whether there is one; the other arrays mean nothing where it is false.
        ranking: (G,) finite where given; higher means more likely metastatic.
        called: (G,) called metastatic.
    """

    given: Flags
    ranking: Values
    called: Flags

    def __post_init__(self) -> None:
        if not self.given.shape == self.ranking.shape == self.called.shape:
            raise ValueError("answers: expected a ranking and a call for each truth box")
        if not np.isfinite(self.ranking[self.given]).all():
            raise ValueError("answers: expected finite rankings where an answer is given")


def answers_on_truth(matches: Matches, said: BoxClasses, chosen: Flags) -> Answers:
    """Return what the classifier said about the truth boxes of known status that were hit.

    Args:
        matches: of the detections, or of truth boxes that were classified with themselves.
        said: what the classifier said about the D detections of the tables.
        chosen: (D,) the detections that count, as those at or above the operating threshold.
    """
    truths = len(matches.tables.truth)
    counted = classified_hits(matches, said) & chosen[matches.found_index]
    at, found = matches.truth_index[counted], matches.found_index[counted]
    given, called = np.zeros(truths, dtype=bool), np.zeros(truths, dtype=bool)
    ranking = np.full(truths, np.nan)
    given[at] = True
    ranking[at] = said.p_metastatic[found]
    called[at] = said.called_metastatic[found]
    return Answers(given, ranking, called)
