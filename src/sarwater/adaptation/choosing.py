"""Threshold and seeds of a target, from what its backscatter and the source's labels say."""

import math
from dataclasses import dataclass
from typing import Literal

from sarwater.adaptation.separation import Separation

_FROM_SOURCE = "the source's, chosen on its validation split"


@dataclass(frozen=True)
class Choice:
    """What is water in a target."""

    threshold: float
    """Water probability, a multiple of .001."""
    seed_margin: float
    """Log-odds by which water must have surer water beside it; see ``require_seeds``."""
    dividing: float
    """Where the target's backscatter separates, or the source's threshold where it does not."""
    separates: bool
    """Whether it does."""
    criterion: str
    """How it was chosen, in words."""


def choose(
    found: Separation | None,
    source: float,
    wish: Literal["seeds", "separation", "source"],
    *,
    is_matched: bool,
    cautious: Separation | None = None,
) -> Choice:
    """Choose threshold and seeds.

    Args:
        found: where the target's backscatter separates.
        source: threshold that the source's labels chose.
        wish: ``adaptation.threshold`` of the settings.
        is_matched: the target's classes were laid on the source's, so that its threshold holds.
        cautious: where it separates with more trust in the source's threshold; with seeds, water
            reaches as far as that.

    >>> found = Separation(0.8, 1.0, 0.1)
    >>> chosen = choose(found, 0.5, "seeds", is_matched=False)
    >>> chosen.threshold, round(chosen.seed_margin, 3)
    (0.5, 1.386)
    >>> nearer = Separation(0.6, 1.1, 0.2)
    >>> chosen = choose(found, 0.5, "seeds", is_matched=False, cautious=nearer)
    >>> chosen.threshold, round(chosen.seed_margin, 3)
    (0.6, 0.981)
    """
    dividing, margin, criterion = source, 0.0, _FROM_SOURCE
    threshold = source
    if found is not None:
        dividing = found.threshold
    if wish == "source":
        pass
    elif found is None:
        criterion += "; no threshold divides the target's backscatter in two"
    elif wish == "seeds" and is_matched:
        criterion += "; the target's land and water were laid on the source's"
    elif wish == "seeds" and dividing > source:
        if cautious is not None:
            threshold = min(max(source, cautious.threshold), dividing)
        margin = _log_odds(dividing) - _log_odds(threshold)
        moved = f", moved from {source:.3f} to {threshold:.3f}" if threshold > source else ""
        criterion += (
            f"{moved}, for water beside pixels of at least {dividing:.3f}, where the target's "
            "backscatter falls into two classes; no label of the target was used"
        )
    else:
        threshold = dividing
        criterion = (
            f"near the source's ({source:.3f}) where the target's backscatter falls into two "
            "classes; no label of the target was used"
        )
    return Choice(threshold, margin, dividing, found is not None, criterion)


def _log_odds(share: float) -> float:
    return math.log(share / (1 - share))
