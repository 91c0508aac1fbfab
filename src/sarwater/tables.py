"""Tables that a person may have edited: CSV text to rows, with a word on what is wrong with it."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from sarwater.errors import nearest

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def csv_rows(
    text: str, required: Sequence[str] = ()
) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """Yield each row as text by column, with its line number; rows without text are passed over.

    Args:
        text: comma-separated; any line ends.
        required: columns that must be there.

    Raises:
        ValueError: zero bytes, a column that is missing or named twice, other separators than
            commas, or a cell that no table holds.

    >>> list(csv_rows("id,split\\na,train\\n", ["id"]))
    [(2, {'id': 'a', 'split': 'train'})]
    """
    if "\0" in text:
        raise ValueError("it holds zero bytes, so it is no text file: expected a CSV table")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        _check_columns(list(reader.fieldnames or ()), required)
        for row in reader:
            if not _is_blank(row):
                yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}: expected a CSV table") from error


def _is_blank(row: Mapping[str, str | list[str] | None]) -> bool:
    """Tell whether a row has separators only, as spreadsheets leave them below a table."""
    cells = [one for cell in row.values() for one in (cell if isinstance(cell, list) else [cell])]
    return not any(cell and cell.strip() for cell in cells)


def _check_columns(there: list[str], required: Sequence[str]) -> None:
    missing = [name for name in required if name not in there]
    if missing:
        found = f"found {', '.join(map(repr, there[:30])) or 'nothing'}"
        for separator, name in _SEPARATORS.items():
            if len(there) == 1 and separator in there[0]:
                raise ValueError(
                    f"its cells are separated by {name}; save it with commas ({found})"
                )
        raise ValueError(
            f"it has no column {', '.join(missing)}{nearest(missing[0], there)}: {found}"
        )
    twice = sorted({name for name in there if name and there.count(name) > 1})
    if twice:
        raise ValueError(f"its header names {', '.join(twice)} twice; rename one of the columns")
