"""Ways to choose a threshold, by name; light, so that settings are checked by the same words."""

from sarwater.errors import DataError, nearest

CRITERIA = ("f1", "iou", "balanced", "precision>=P", "recall>=R")
"""Best score, mapped area as labelled, or a bound; P and R stand for numbers within 0 ... 1."""

_NEAR = ("f1", "iou", "balanced", "precision>=.9", "recall>=.9")


def parse_criterion(criterion: str) -> tuple[str, float | None]:
    """Return a criterion's name and its bound, None where it has none.

    Upper case and spaces are as good.

    Raises:
        DataError: there is no such criterion, or its bound is not within 0 ... 1.

    >>> parse_criterion("Precision >= .9"), parse_criterion("f1")
    (('precision', 0.9), ('f1', None))
    """
    text = criterion.replace(" ", "").lower()
    name, sign, bound = text.partition(">=")
    if not sign and text in CRITERIA:
        return text, None
    try:
        number = float(bound)
    except ValueError:
        number = -1.0
    if name in ("precision", "recall") and 0 <= number <= 1:
        return name, number
    raise DataError(
        f"unknown criterion '{criterion}' for a threshold{nearest(text, _NEAR)}; expected one of "
        f"{', '.join(CRITERIA)}, with P and R within 0 ... 1"
    )
