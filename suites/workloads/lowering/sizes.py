"""Batch, new tokens and context as symbols: what depends on them, and how far a recording holds."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import sympy
import torch
from torch._dynamo.source import ConstantSource
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv

from accelbench.harness.schema.symbolic import SIZES, Polynomial, Span

_LEAST_SYMBOL = 2
"""PyTorch takes another path for sizes of 0 and 1: these are always numbers."""

_LEAST_HINT = 11
"""Above the counts of heads and channels that a size might be mistaken for."""


class NeedsNumbersError(Exception):
    """Something that no polynomial or no bound on one size tells: these must be numbers.

    Attributes:
        sizes: Their names.
    """

    def __init__(self, sizes: Iterable[str]) -> None:
        super().__init__(", ".join(sorted(sizes)))
        self.sizes = frozenset(sizes)


class Sizes:
    """The sizes of one recording, each a number or a symbol.

    A symbol stands for a value (its hint), by which the model's own code decides where it compares
    sizes; each such decision is kept as a guard. A number is valid for itself alone.

    Args:
        asked: Value of each of `SIZES`.
        fixed: Names of those that are numbers.
        near: Whether hints are primes near what was asked, which equal no size of the model and
            divide none; otherwise they are what was asked.

    Attributes:
        env: The environment of the symbols.
        values: The sizes, in the order of `SIZES`, as a model takes them.
    """

    def __init__(self, asked: Mapping[str, int], fixed: Collection[str], *, near: bool) -> None:
        self.env = ShapeEnv(duck_shape=False)
        self._asked = dict(asked)
        self._symbols: dict[str, sympy.Symbol] = {}
        self._hints: dict[str, int] = {}
        self._known: dict[Any, Polynomial] = {}
        values: list[Any] = []
        for name in SIZES:
            if name in fixed or asked[name] < _LEAST_SYMBOL:
                values.append(asked[name])
                continue
            hint = _prime(asked[name], self._hints.values()) if near else asked[name]
            source = ConstantSource(name)
            symbol = self.env.create_symbol(hint, source, DimDynamic.DYNAMIC, None)
            self._symbols[name], self._hints[name] = symbol, hint
            values.append(self.env.create_symintnode(symbol, hint=hint, source=source))
        self.values = tuple(values)

    @property
    def symbolic(self) -> bool:
        """Whether any of them is a symbol."""
        return bool(self._symbols)

    def polynomial(self, size: Any) -> Polynomial:
        """An integer or a symbolic one, as a polynomial.

        Raises:
            NeedsNumbersError: It is none with whole coefficients.
        """
        if not isinstance(size, torch.SymInt):
            return Polynomial(((int(size), 0, 0, 0),) if size else ())
        expression = size.node.expr
        if expression not in self._known:
            self._known[expression] = self._converted(expression)
        return self._known[expression]

    def _converted(self, expression: Any) -> Polynomial:
        found = self._poly(expression)
        if not all(coefficient.is_Integer for coefficient in found.coeffs()):
            raise NeedsNumbersError(self._names(expression))
        names = list(self._symbols)
        terms = []
        for powers, coefficient in found.terms():
            by_name = dict(zip(names, powers, strict=True))
            if coefficient:
                terms.append((int(coefficient), *(by_name.get(name, 0) for name in SIZES)))
        return Polynomial(tuple(sorted(terms, key=lambda term: term[1:])))

    def _poly(self, expression: Any) -> Any:
        try:
            return sympy.Poly(sympy.expand(expression), *self._symbols.values())
        except sympy.PolynomialError:
            raise NeedsNumbersError(self._names(expression)) from None

    def _names(self, expression: Any) -> list[str]:
        free = expression.free_symbols
        return [name for name, symbol in self._symbols.items() if symbol in free]

    def spans(self) -> tuple[Span, ...]:
        """For which values of each size all decisions come out as they did, in order of `SIZES`.

        Raises:
            NeedsNumbersError: A decision depends on more than one size, or in another way than by
                the sign of a polynomial.
        """
        found = {
            name: Span(_LEAST_SYMBOL, None) if name in self._symbols else Span(value, value)
            for name, value in self._asked.items()
        }
        for symbol, other in self.env.replacements.items():
            names = [*self._names(symbol), *self._names(other)]
            if len(names) > 1 or not other.is_number:
                raise NeedsNumbersError(names)
            found[names[0]] = _common(found[names[0]], Span(int(other), int(other)))
        for guard in self.env.guards:
            names = self._names(guard.expr)
            boxes = self._corner(guard.expr, names) if len(names) > 1 else {}
            if len(names) == 1:
                boxes[names[0]] = self._within(guard.expr, names[0])
            for name, span in boxes.items():
                found[name] = _common(found[name], span)
        return tuple(found[name] for name in SIZES)

    def _corner(self, guard: Any, names: Sequence[str]) -> dict[str, Span]:
        """A box of several sizes for which a comparison holds, where its sides only grow."""
        if not isinstance(guard, sympy.core.relational.Relational):
            raise NeedsNumbersError(names)
        poly = self._poly(guard.lhs - guard.rhs)
        least = {own: own + _LEAST_SYMBOL for own in self._symbols.values()}
        shifted = self._poly(poly.as_expr().subs(least))
        slopes = [c for powers, c in shifted.terms() if any(powers)]
        rising = all(c >= 0 for c in slopes)
        if not rising and not all(c <= 0 for c in slopes):
            raise NeedsNumbersError(names)
        lowest, asked, hinted = (
            poly.eval(tuple(at[name] for name in self._symbols))
            for at in (dict.fromkeys(SIZES, _LEAST_SYMBOL), self._asked, self._hints)
        )
        if hinted == 0:
            raise NeedsNumbersError(names)
        if lowest * hinted > 0 and rising == (lowest > 0):
            return {}
        corner = self._asked if asked * hinted > 0 else self._hints
        if rising == (hinted > 0):
            return {name: Span(corner[name], None) for name in names}
        return {name: Span(_LEAST_SYMBOL, corner[name]) for name in names}

    def _within(self, guard: Any, name: str) -> Span:
        """Values around the hint for which a condition on one size holds."""
        hint = self._hints[name]
        if isinstance(guard, sympy.And):
            spans = [self._within(part, name) for part in guard.args]
            return _all_of(spans)
        if isinstance(guard, sympy.Or):
            symbol = self._symbols[name]
            return self._within(next(p for p in guard.args if p.subs(symbol, hint)), name)
        if not isinstance(guard, sympy.core.relational.Relational):
            raise NeedsNumbersError([name])
        symbol = self._symbols[name]
        poly = sympy.Poly(self._poly(guard.lhs - guard.rhs).as_expr(), symbol)
        roots = sympy.real_roots(poly)
        low, high = (
            _end(lambda value: bool(guard.subs(symbol, value)), hint, roots, step)
            for step in (-1, 1)
        )
        return Span(_LEAST_SYMBOL if low is None else max(low, _LEAST_SYMBOL), high)


def _end(
    holds: Callable[[int], bool], start: int, roots: Iterable[Any], step: Literal[-1, 1]
) -> int | None:
    """The last integer from a start on for which a comparison holds; None for no end.

    Args:
        holds: Whether it does; it changes at the roots of a polynomial alone.
        start: Where it holds.
        roots: The roots.
        step: Which way to go.
    """
    for root in sorted(roots, reverse=step < 0):
        if step * (root - start) < 0:
            continue
        last = int(sympy.floor(root) if step > 0 else sympy.ceiling(root))
        for value in (last, last + step) if last == root else (last + step,):
            if not holds(value):
                return value - step
    return None


def _all_of(spans: Iterable[Span]) -> Span:
    found = Span(_LEAST_SYMBOL, None)
    for span in spans:
        found = _common(found, span)
    return found


def _common(one: Span, other: Span) -> Span:
    ends = [end for end in (one.high, other.high) if end is not None]
    return Span(max(one.low, other.low), min(ends) if ends else None)


def _prime(asked: int, taken: Collection[int]) -> int:
    """The least prime from what was asked on that none of the others is."""
    found = sympy.nextprime(max(asked, _LEAST_HINT) - 1)
    while found in taken:
        found = sympy.nextprime(found)
    return int(found)
