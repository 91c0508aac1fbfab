"""Tables that a person may have edited: CSV text to rows, with a word on what is wrong with it."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence

from sarwater.errors import nearest

_UNNAMED = re.compile(r"column \d+")

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def csv_rows(
    text: str, required: Sequence[str] = (), known: Sequence[str] = ()
) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """Yield each row as text by column, with its line number; rows without text are passed over.

    Columns without a name are called ``column 3`` and so on where any cell of theirs has text, and
    are passed over otherwise, as are empty cells beyond the last column.

    Args:
        text: comma-separated; any line ends.
        required: columns that must be there.
        known: further columns that are meant, as the required ones are, by names in other case.

    Raises:
        ValueError: zero bytes, a column that is missing or named twice, other separators than
            commas, or a cell that no table holds.

    >>> list(csv_rows("ID,split,\\na,train,,\\n", ["id"]))
    [(2, {'id': 'a', 'split': 'train'})]
    """
    if "\0" in text:
        raise ValueError("it holds zero bytes, so it is no text file: expected a CSV table")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        names = _named(list(reader.fieldnames or ()), [*required, *known])
        _check_columns(names, required)
        reader.fieldnames = names
        rows = [(reader.line_num, row) for row in reader if not _is_blank(row)]
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}: expected a CSV table") from error
    unused = {name for name in names if _UNNAMED.fullmatch(name)}
    unused -= {name for name in unused for _, row in rows if (row[name] or "").strip()}
    for line, row in rows:
        surplus = any(cell.strip() for cell in row.get(None) or [])
        yield line, {k: v for k, v in row.items() if k not in unused and (k or surplus)}


def _named(header: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the columns' names without spaces around them, the known ones in their own case."""
    meant = {name.lower(): name for name in known}
    names = [name.strip() for name in header]
    if not any(names):
        return names
    return [
        meant.get(name.lower(), name) if name else f"column {position}"
        for position, name in enumerate(names, 1)
    ]


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
