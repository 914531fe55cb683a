"""Numbers among the factors of a product, and the place that model files have for them."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from fludapk.published.engines.algebra import binary, constant
from fludapk.published.engines.parts import Effect, Leaf, Number, Parts


class Numbers:
    """Numbers of one product.

    Parameters
    ----------
    parts : Parts
    constant : float
        Factor to begin with.
    """

    def __init__(self, parts: Parts, constant: float) -> None:
        self.parts, self.constant = parts, constant
        self.thetas: list[tuple[int, Number]] = []
        self.at = 0

    def takes(self, leaf: Leaf, effects: Sequence[Effect]) -> bool:
        """Take a factor if it is a number; tell if it was."""
        node, sign = leaf
        plain = constant(node)
        if plain:
            self.constant, self.at = self.constant * plain**sign, self.at or len(effects)
            return True
        part = node if sign > 0 else binary(ast.Constant(1.0), ast.Div(), node)
        number = self.parts.number(part)
        if number is not None:
            self.thetas.append((len(effects), number))
        return number is not None

    def place(self, effects: list[Effect], *, has_head: bool) -> dict[str, Any]:
        """Place them: reference of a covariate, theta of a term (returned), factors."""
        for effect in reversed(effects):  # TH*CRCL/96
            exponent = effect.get("exponent")
            if self.constant != 1.0 and exponent in (1.0, -1.0) and effect["ref"] == 1.0:
                ref = _rounded(self.constant ** -float(exponent))
                if ref > 1.0:
                    effect["ref"], self.constant = ref, 1.0
        head: dict[str, Any] = {}
        if has_head and self.thetas:
            head["theta"] = self.thetas.pop(0)[1]
        factors_at = list(self.thetas)
        if abs(self.constant - 1.0) > 1e-12:
            factors_at.append((self.at, _rounded(self.constant)))
        for k, (place, number) in enumerate(sorted(factors_at, key=lambda pair: pair[0])):
            effects.insert(place + k, {"kind": "factor", "value": number})
        return head


def _rounded(x: float) -> float:
    """Return a number without the last bits of arithmetic."""
    return float(f"{x:.14g}")
