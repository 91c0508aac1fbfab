"""Which band of an image lies where in its files, and what it is called."""

from collections.abc import Sequence

from sarwater.errors import DataError
from sarwater.raster.opening import Header
from sarwater.types import POLARIZATIONS


def channels_of(
    headers: Sequence[Header], bands: Sequence[str]
) -> list[tuple[int, tuple[int, ...]]]:
    """Pair each band with its file and channels (several where they must be equal).

    An alpha band is none of them, unless so many bands are named that it has to be.

    Raises:
        DataError: more or fewer bands are named than the files have.
    """
    total = sum(header.count for header in headers)
    if not bands or total == len(bands):
        return [(i, (c + 1,)) for i, header in enumerate(headers) for c in range(header.count)]
    if len(headers) == len(bands):
        # A grey picture stored as RGB(A): equal channels, checked when they are read.
        return [(i, tuple(range(1, min(h.count, 3) + 1))) for i, h in enumerate(headers)]
    if total + sum(header.has_alpha for header in headers) == len(bands):
        counts = [header.count + header.has_alpha for header in headers]
        return [(i, (c + 1,)) for i, count in enumerate(counts) for c in range(count)]
    files = ", ".join(f"{header.path} ({header.count})" for header in headers)
    raise DataError(
        f"{len(bands)} bands are named ({', '.join(bands)}) but the files have {total}: {files}; "
        "name every band in order"
    )


def alphas_of(
    headers: Sequence[Header], channels: Sequence[tuple[int, tuple[int, ...]]]
) -> list[int | None]:
    """Return each file's channel that says where there is data; None where it has none."""
    bands = {(file, channel) for file, of_band in channels for channel in of_band}
    return [
        header.count + 1 if header.has_alpha and (i, header.count + 1) not in bands else None
        for i, header in enumerate(headers)
    ]


def described_bands(headers: Sequence[Header]) -> tuple[str, ...]:
    """Return what the files say of their bands: in their descriptions, or in their names.

    A name's last part is a band's where several files make one image, and where it is one of
    ``POLARIZATIONS``; otherwise it is as likely a number.
    """
    names = [name for header in headers for name in header.descriptions]
    if all(names):
        return tuple(names)
    suffixes = [header.path.stem.rpartition("_")[2] for header in headers]
    if len(names) == len(headers) and (len(names) > 1 or suffixes[0].upper() in POLARIZATIONS):
        return tuple(suffixes)
    return tuple(name or f"band{i}" for i, name in enumerate(names, 1))
