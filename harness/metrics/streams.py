"""Token arrivals, in one pass over a table that may be larger than memory.

What is kept is a few numbers for each request, and each gap between successive tokens as one
integer; a trace of a hundred million arrivals takes less than a gigabyte.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
Integers: TypeAlias = npt.NDArray[np.int64]

SLICES = 1024
"""Equal slices of the window, over which what varies with time is counted."""

COLUMNS = ("id", "at_ns", "count", "kind")

_NEVER = np.iinfo(np.int64).min


class OutOfOrder(Exception):  # noqa: N818  (a signal within this module's callers, no error)
    """The arrivals are not in time order; the whole table has to be sorted first."""


@dataclass(frozen=True)
class Gaps:
    """Every gap between successive tokens of the requests that were asked for.

    Attributes:
        ns: The gaps between arrivals, in order of the later one, ns.
        ends: By slice of the window, how many entries of `ns` lie in it or before; what comes
            before the window counts as its first slice, what comes after as its last.
        zeros: By slice, gaps of no length: between tokens that arrived together.
    """

    ns: npt.NDArray[Any]
    ends: Integers
    zeros: Integers

    @property
    def count(self) -> int:
        """How many gaps there are."""
        return int(self.ns.size + self.zeros.sum())


@dataclass(frozen=True)
class Streams:
    """The tokens of known requests; one that does not tell its count is taken for one token.

    Times are ns from the window's start; NaN where no token came.

    Attributes:
        first: By request, when its first token arrived.
        last: By request, when its last token arrived.
        count: By request, how many arrived.
        inside: By request, how many arrived in the window.
        reasoning: By request, how many were of kind "reasoning".
        arrived: Tokens that arrived in the window, by slice, of unknown requests too.
        uncounted: Arrivals in the window that do not tell how many tokens they brought.
        gaps: Gaps of the requests that were asked for.
    """

    first: Numbers
    last: Numbers
    count: Numbers
    inside: Numbers
    reasoning: Numbers
    arrived: Integers
    uncounted: int
    gaps: Gaps


def stream(
    parts: Iterable[pa.Table],
    index: Mapping[str, int],
    wanted: Flags,
    window_ns: tuple[int, int],
    num_rows: int,
) -> Streams:
    """Reads all arrivals once.

    Args:
        parts: The arrivals in time order, with columns `COLUMNS`.
        index: The number of each request, by id.
        wanted: By request, whether its gaps are kept.
        window_ns: The closed window, on the trace's clock.
        num_rows: How many arrivals there are.

    Raises:
        OutOfOrder: An arrival lies before one that was read earlier.
    """
    reading = _Pass(wanted, window_ns, num_rows)
    for part in parts:
        if part.num_rows:
            reading.add(_Arrivals.of(part, index))
    return reading.result()


@dataclass(frozen=True)
class _Arrivals:
    """A part of the table as arrays: those with at least one token."""

    request: Integers
    at: Integers
    count: Integers
    silent: Flags
    reasoning: Flags

    @classmethod
    def of(cls, part: pa.Table, index: Mapping[str, int]) -> "_Arrivals":
        """Requests by number, -1 for an unknown one."""
        count = part.column("count")
        told = np.asarray(pc.is_valid(count).to_numpy(), dtype=np.bool_)
        tokens = np.asarray(pc.fill_null(count, 1).to_numpy(), dtype=np.int64)
        at = np.asarray(pc.fill_null(part.column("at_ns"), _NEVER).to_numpy(), dtype=np.int64)
        kept = (tokens > 0) & (at != _NEVER)
        found = cls(
            _codes(part.column("id"), index),
            at,
            tokens,
            ~told,
            np.asarray(_codes(part.column("kind"), {"reasoning": 1}) == 1, dtype=np.bool_),
        )
        return found if kept.all() else found.only(kept)

    def only(self, kept: Flags) -> "_Arrivals":
        """Some of them."""
        return _Arrivals(
            self.request[kept],
            self.at[kept],
            self.count[kept],
            self.silent[kept],
            self.reasoning[kept],
        )


def _codes(column: pa.ChunkedArray, index: Mapping[str, int]) -> Integers:
    """The number of each text, -1 where it has none; each distinct text is looked up once."""
    found = []
    for chunk in column.chunks:
        texts = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        known = [index.get(text, -1) for text in texts.dictionary.to_pylist()]
        codes = np.asarray([*known, -1], dtype=np.int64)
        places = np.asarray(pc.fill_null(texts.indices, len(known)).to_numpy(zero_copy_only=False))
        found.append(codes[places])
    return np.concatenate(found) if found else np.empty(0, np.int64)


class _Pass:
    """What is known after the arrivals read so far."""

    def __init__(self, wanted: Flags, window_ns: tuple[int, int], num_rows: int) -> None:
        size = wanted.size
        self._wanted = wanted
        self._start, self._end = window_ns
        self._reached = _NEVER
        self._first = np.full(size, _NEVER)
        self._last = np.full(size, _NEVER)
        self._count = np.zeros(size, np.int64)
        self._inside = np.zeros(size, np.int64)
        self._reasoning = np.zeros(size, np.int64)
        self._arrived = np.zeros(SLICES, np.int64)
        self._zeros = np.zeros(SLICES, np.int64)
        self._in_slice = np.zeros(SLICES, np.int64)
        self._uncounted = 0
        self._gaps: npt.NDArray[Any] = np.empty(num_rows, np.uint32)
        self._kept = 0

    def add(self, part: _Arrivals) -> None:
        """Takes the next part.

        Raises:
            OutOfOrder: It goes back in time.
        """
        if part.at.size == 0:
            return
        if part.at[0] < self._reached or (np.diff(part.at) < 0).any():
            raise OutOfOrder
        self._reached = int(part.at[-1])
        inside = (part.at >= self._start) & (part.at <= self._end)
        place = self._slices(part.at)
        self._uncounted += int((inside & part.silent).sum())
        self._arrived += _tally(place[inside], part.count[inside])
        known = part.request >= 0
        if not known.all():
            part, place, inside = part.only(known), place[known], inside[known]
        if part.at.size:
            self._requests(part, inside, place)

    def result(self) -> Streams:
        """All of it, times from the window's start."""
        came = self._count > 0
        return Streams(
            first=np.where(came, self._first - self._start, np.nan),
            last=np.where(came, self._last - self._start, np.nan),
            count=self._count.astype(np.float64),
            inside=self._inside.astype(np.float64),
            reasoning=self._reasoning.astype(np.float64),
            arrived=self._arrived,
            uncounted=self._uncounted,
            gaps=Gaps(self._gaps[: self._kept], np.cumsum(self._in_slice), self._zeros),
        )

    def _slices(self, at: Integers) -> Integers:
        length = max(self._end - self._start, 1)
        share = (at - self._start) / length * SLICES
        return np.clip(share, 0, SLICES - 1).astype(np.int64)

    def _requests(self, part: _Arrivals, inside: Flags, place: Integers) -> None:
        """What is kept for each request, and the gap before each arrival."""
        order = _by_request(part.request)
        request, at = part.request[order], part.at[order]
        begins = np.flatnonzero(np.diff(request, prepend=-1))
        starting = request[begins]
        self._add_up(part, inside, order, begins, starting)
        before = np.empty_like(at)
        before[1:] = at[:-1]
        before[begins] = self._last[starting]
        new = self._first[starting] == _NEVER
        self._first[starting[new]] = at[begins][new]
        self._last[starting] = at[np.append(begins[1:], request.size) - 1]
        gap = np.empty_like(at)
        gap[order] = np.where(before == _NEVER, -1, at - before)
        self._keep_gaps(part, gap, place)

    def _add_up(
        self, part: _Arrivals, inside: Flags, order: Integers, begins: Integers, starting: Integers
    ) -> None:
        """Tokens of each request, in all, in the window, and of reasoning."""
        count = part.count[order]
        self._count[starting] += np.add.reduceat(count, begins)
        self._inside[starting] += np.add.reduceat(count * inside[order], begins)
        if part.reasoning.any():
            self._reasoning[starting] += np.add.reduceat(count * part.reasoning[order], begins)

    def _keep_gaps(self, part: _Arrivals, gap: Integers, place: Integers) -> None:
        """The gaps of wanted requests, in order of arrival."""
        wanted = self._wanted[part.request]
        together = wanted & (part.count > 1)
        if together.any():
            self._zeros += _tally(place[together], part.count[together] - 1)
        kept = wanted & (gap >= 0)
        self._in_slice += np.bincount(place[kept], minlength=SLICES)
        self._append(gap[kept])

    def _append(self, gaps: Integers) -> None:
        if gaps.size == 0:
            return
        if self._gaps.dtype == np.uint32 and gaps.max() > np.iinfo(np.uint32).max:
            self._gaps = self._gaps.astype(np.int64)
        self._gaps[self._kept : self._kept + gaps.size] = gaps
        self._kept += gaps.size


def _by_request(request: Integers) -> Integers:
    """The order that puts arrivals of one request together, each in time order.

    Number and place are packed into one integer, as small a one as holds both, because numpy
    sorts plain integers many times faster than it finds the order of a sort.
    """
    bits = max(int(request.size - 1).bit_length(), 1)
    narrow = int(request.max()).bit_length() + bits <= 32  # noqa: PLR2004  (bits of a uint32)
    packed: npt.NDArray[Any] = (request << bits) | np.arange(request.size)
    if narrow:
        packed = packed.astype(np.uint32)
    packed.sort()
    order: Integers = (packed & ((1 << bits) - 1)).astype(np.int64)
    return order


def _tally(place: Integers, amount: Integers) -> Integers:
    """The sum of the amounts in each slice, exact below 2^53."""
    return np.bincount(place, weights=amount, minlength=SLICES).astype(np.int64)
