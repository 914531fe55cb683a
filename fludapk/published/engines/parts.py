"""Parts of an expression as the grammar of model files has them: effects, numbers, covariates."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from fludapk.published.engines.algebra import (
    NOTHING,
    NotReadError,
    binary,
    constant,
    factors,
    is_call,
    is_sum,
    name_of,
    names_in,
    product,
    simplified,
    summands,
    value,
)
from fludapk.published.engines.cases import cases_of
from fludapk.published.engines.formula_reading import formula_of
from fludapk.published.engines.source import UNREAD, Source
from fludapk.published.engines.statements import OF_DOSE, step_column
from fludapk.published.tables import PATIENT_COVARIATES

Effect: TypeAlias = dict[str, Any]
Number: TypeAlias = float | str
"""A number, or the name of a theta."""
Leaf: TypeAlias = tuple[ast.expr, int]

COVARIATES: Final = {
    *(name.upper() for name in PATIENT_COVARIATES),
    "SEX",
    "FFM",
    "LBM",
    "BMI",
    "GFR",
}
"""Names that stand for a covariate, also where a text gives them a value as to a parameter."""
_OF_RECORDS: Final = {"TIME", "T", "TAD", "DV", "AMT", "RATE", "EVID", "MDV", "CMT", "ID", "NEWIND"}


class Parts:
    """Reading of parts of expressions, and what they were seen to need.

    Parameters
    ----------
    source : Source
    defined : mapping of str to str
        An expression, written out, as `ast.dump` has it -> the name that the text gives it.
    """

    def __init__(self, source: Source, defined: Mapping[str, str]) -> None:
        self.source, self.defined = source, defined
        self.covariates: dict[str, None] = {}
        self.derived: dict[str, dict[str, Any]] = {}
        self.categories: dict[str, list[str]] = {}
        self.computed: dict[str, tuple[float, str, set[str]]] = {}
        self.used: set[str] = set()
        words = source.file.get("covariates", {})
        self._columns = {name.upper(): name for name in words if "levels" not in words[name]}
        self._columns |= {theirs: ours for ours, theirs in OF_DOSE.items()}
        self._levels = {
            f"{name.upper()}{k}": (name, k)
            for name, table in words.items()
            for k in range(1, len(table.get("levels", ())))
        }

    # -------------------------------------------------------------- what a name is

    def is_theta(self, name: str) -> bool:
        """Tell if a name is that of an estimate."""
        return name in self.source.thetas and name.upper() not in COVARIATES

    def is_random(self, node: ast.expr) -> bool:
        """Tell if an expression has a random effect."""
        effects = self.source.variances.keys() | self.source.same.keys()
        return bool(names_in(node) & effects)

    def covariate(self, node: ast.expr) -> str:
        """Name the covariate that an expression is, or that a published formula makes of others.

        Raises
        ------
        NotReadError
            If it is none.
        """
        name = name_of(node)
        if not name:
            return self._derived(node)
        if name in (UNREAD, NOTHING) or name in self.source.doubtful:
            raise NotReadError("a part of it was not read")
        if name in self._columns:
            return str(self._columns[name])
        in_data = self.source.columns is None or name in self.source.columns
        if (
            name.upper() in _OF_RECORDS
            or re.fullmatch(r"(THETA|ETA|EPS|ERR)_\d+", name)
            or not in_data
        ):
            raise NotReadError(f"{name} is no covariate of a patient or of a dose")
        if self.is_theta(name) or self.is_random(node):
            raise NotReadError(f"{name} is no covariate")
        self.covariates[name] = None
        return name

    def _derived(self, node: ast.expr) -> str:
        """Name a covariate that is computed in the text by a published formula."""
        table = self._fat_mass(node) or formula_of(node)
        if table is None:
            raise NotReadError(f"{ast.unparse(node)} is no covariate, nor a formula that is known")
        name = self.defined.get(ast.dump(node), str(table["derived"]).upper())
        for needed in table.pop("needs", ()):
            self.covariates[needed] = None
        self.derived[name] = table
        return name

    def _fat_mass(self, node: ast.expr) -> dict[str, Any] | None:
        """Read normal fat mass: FFM + Ffat * (WT - FFM)."""
        parts = list(summands(node))
        if len(parts) != 2 or any(sign < 0 for sign, _ in parts):
            return None
        for (_, lean), (_, rest) in (parts, parts[::-1]):
            leaves = list(factors(rest))
            for k, (whole, _) in enumerate(leaves):
                minus = list(summands(whole))
                if len(minus) != 2 or ast.dump(minus[1][1]) != ast.dump(lean) or minus[1][0] > 0:
                    continue
                fat = self.number(product(leaves[:k] + leaves[k + 1 :]))
                if fat is not None and name_of(minus[0][1]) == "WT":
                    self.covariates["WT"] = None
                    return {
                        "derived": "normal_fat_mass",
                        "of": {"FFM": self.covariate(lean)},
                        "fat": fat,
                    }
        return None

    # -------------------------------------------------------------- numbers

    def number(self, node: ast.expr) -> Number | None:
        """Return a number or the name of a theta; what is computed from thetas gets a name."""
        plain = constant(node)
        if plain is not None:
            return plain
        name = name_of(node)
        if self.is_theta(name):
            self._check(name)
            self.used.add(name)
            return name
        names = names_in(node)
        if not names or not all(self.is_theta(n) for n in names):
            return None
        result = value(node, self.source.thetas)
        if not math.isfinite(result):
            raise NotReadError(f"{ast.unparse(node)} has no value")
        text = ast.unparse(node).replace("-1.0 * ", "-").replace("1.0 / ", "1 / ")
        text = re.sub(r"(\d)\.0\b", r"\1", text)
        spelt = text.replace("-", " minus ").replace("/", " per ").replace("+", " plus ")
        own = re.sub(r"\W+", "_", spelt).strip("_")
        self.computed[own] = (result, text, names)
        return own

    def _check(self, name: str) -> None:
        if not math.isfinite(self.source.thetas[name]):
            raise NotReadError(f"{name} has no value")

    def scaled(self, slope: ast.expr, scale: float) -> Number | None:
        """Return a number times a factor."""
        return self.number(
            slope if scale == 1.0 else binary(slope, ast.Mult(), ast.Constant(scale))
        )

    # -------------------------------------------------------------- products

    def leaves(self, node: ast.expr) -> list[Leaf | Effect]:
        """Take a product apart, branches as effects of what they ask for."""
        result: list[Leaf | Effect] = []
        for factor, sign in factors(node):
            if isinstance(factor, ast.IfExp) and formula_of(factor) is None:
                result += self._branches(factor, sign)
            else:
                result.append((factor, sign))
        return result

    def _branches(self, node: ast.IfExp, sign: int) -> list[Leaf | Effect]:
        """Part branches into what they share, and a factor for each."""
        covariate, cases = cases_of(node)
        lists = {case: self.leaves(simplified(branch)) for case, branch in cases.items()}
        first, *others = lists.values()
        shared = []
        for leaf in list(first):
            if all(any(_key(leaf) == _key(x) for x in other) for other in others):
                shared.append(leaf)
                for rest in lists.values():
                    rest.remove(next(x for x in rest if _key(x) == _key(leaf)))
        own: dict[float | None, Number] = {}
        for case, rest in lists.items():
            pairs = [leaf for leaf in rest if not isinstance(leaf, dict)]
            plain = product(pairs if sign > 0 else [(x, -s) for x, s in pairs])
            factor = self.number(plain) if len(pairs) == len(rest) else None
            if factor is None:
                raise NotReadError(f"branches by {covariate} that differ in more than a number")
            own[case] = factor
        shared = [
            (leaf[0], leaf[1] * sign) if not isinstance(leaf, dict) else leaf for leaf in shared
        ]
        return [*shared, self._by_case(covariate, own)]

    def _by_case(self, covariate: str, own: Mapping[float | None, Number]) -> Effect:
        """Write factors of cases as a category, or as steps if cases are intervals."""
        if covariate in self._levels and not own.keys() - {0.0, 1.0, None}:
            at_0, at_1 = own.get(0.0, own.get(None)), own.get(1.0, own.get(None))
            if at_0 is not None and at_1 is not None:
                return self._switched(covariate, at_0, at_1)
        name = self.covariate(ast.Name(covariate))
        if -math.inf in own:
            at = [case for case in own if case != -math.inf]
            return {"kind": "steps", "covariate": name, "at": at, "factors": list(own.values())}
        levels = {
            f"{name}_{'other' if case is None else f'{case:g}'}": x for case, x in own.items()
        }
        return self._category(name, levels)

    def _category(self, name: str, levels: Mapping[str, Number]) -> Effect:
        listed = self.categories.setdefault(name, [])
        listed += [level for level in levels if level not in listed]
        self.covariates.pop(name, None)
        return {"kind": "category", "covariate": name, "factors": dict(levels)}

    # -------------------------------------------------------------- effects

    def effect(self, node: ast.expr, sign: int) -> Effect:
        """Read a factor as an effect.

        Raises
        ------
        NotReadError
            If the grammar of model files has no such effect.
        """
        read = None
        if is_call(node, "exp"):
            read = self._exponential(node.args[0], sign)
        elif is_sum(node) and sign > 0:
            read = self.indicators(node) or self._linear(node)
        read = read or self._power(node, sign)
        if read is None:
            raise NotReadError(f"{ast.unparse(node)} is no effect of the grammar")
        return read

    def _power(self, node: ast.expr, sign: int) -> Effect | None:
        exponent: Number | None = float(sign)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            base_number = self.number(node.left)
            if base_number is not None and name_of(node.right):  # theta ** SEX
                return self._switched(name_of(node.right), 1.0, base_number) if sign > 0 else None
            signed = node.right if sign > 0 else ast.UnaryOp(ast.USub(), node.right)
            node, exponent = node.left, self.number(signed)
        ref: Number | None = 1.0
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            ref = self.number(node.right)
            if ref is None and exponent == -1.0:
                return None
            node = node.left
        if exponent is None or ref is None:
            return None
        return {
            "kind": "power",
            "covariate": self.covariate(node),
            "ref": ref,
            "exponent": exponent,
        }

    def _switched(self, covariate: str, at_0: Number, at_1: Number) -> Effect:
        """Write the factors of a column that is 0 or 1."""
        if covariate in self._levels:
            name, k = self._levels[covariate]
            levels = self.source.file["covariates"][name]["levels"]
            return self._category(
                name, {level: at_1 if j == k else at_0 for j, level in enumerate(levels)}
            )
        name = self.covariate(ast.Name(covariate))
        return self._category(name, {f"{name}_0": at_0, f"{name}_1": at_1})

    def _exponential(self, argument: ast.expr, sign: int) -> Effect | None:
        """Read exp(slope * (x - ref)), or exp(max * share) of an effect that saturates."""
        leaves: list[Leaf | Effect] = list(factors(argument))
        if sign < 0:
            leaves = [(ast.Constant(-1.0), 1), *leaves]
        shares = self.sigmoids(leaves)
        if shares:
            rest = [leaf for leaf in leaves if not isinstance(leaf, dict)]
            most = self.number(product(rest))
            share = shares[0]
            if most is None or len(shares) > 1:
                return None
            hill = {} if share["hill"] == 1.0 else {"hill": share["hill"]}
            return {"kind": "saturating", "covariate": share["covariate"], "max": most,
                    "x50": share["x50"], **hill}  # fmt: skip
        return self._change("exponential", argument, sign)

    def _linear(self, node: ast.expr) -> Effect | None:
        """Read 1 + slope * (x - ref); of a column of 0 and 1, a factor for each."""
        parts = list(summands(node))
        numbers = [(s, x) for s, x in parts if constant(x) is not None]
        others = [(s, x) for s, x in parts if constant(x) is None]
        if sum(s * (constant(x) or 0.0) for s, x in numbers) != 1.0 or len(others) != 1:
            return None
        sign, change = others[0]
        effect = self._change("linear", change, int(sign))
        if effect is None or effect["ref"] != 0.0:
            return effect
        if effect["covariate"].upper() != "SEX" and effect["covariate"] not in self._levels:
            return effect
        self.covariates.pop(effect["covariate"], None)
        slope = (
            ast.Name(effect["slope"])
            if isinstance(effect["slope"], str)
            else ast.Constant(effect["slope"])
        )
        at_1 = self.number(binary(ast.Constant(1.0), ast.Add(), slope))
        return None if at_1 is None else self._switched(effect["covariate"], 1.0, at_1)

    def _change(self, kind: str, node: ast.expr, sign: int) -> Effect | None:
        """Read slope * (x - ref), slope * x or slope * (x / ref - 1)."""
        leaves = list(factors(node))
        own = [k for k, (x, _) in enumerate(leaves) if not self._is_number(x)]
        if len(own) != 1 or leaves[own[0]][1] < 0:
            return None
        x = leaves.pop(own[0])[0]
        slope = product([(ast.Constant(float(sign)), 1), *leaves] if sign < 0 else leaves)
        name, ref, scale = x, 0.0, 1.0  # type: ast.expr, Number | None, float
        if is_sum(x):
            parts = list(summands(x))
            numbers = [p for p in parts if self._is_number(p[1])]
            rest = [p for p in parts if not self._is_number(p[1])]
            if len(rest) != 1 or len(numbers) != 1 or numbers[0][0] > 0 > rest[0][0]:
                return None
            name, inner = rest[0][1], list(factors(rest[0][1]))
            by = [leaf for leaf in inner if not self._is_number(leaf[0])]
            divided = constant(product([leaf for leaf in inner if self._is_number(leaf[0])]))
            if len(by) != 1 or by[0][1] < 0 or not divided:
                return None
            name, scale = by[0][0], divided * rest[0][0]
            moved = numbers[0][1] if numbers[0][0] < 0 else ast.UnaryOp(ast.USub(), numbers[0][1])
            ref = (
                self.number(moved)
                if scale == 1.0
                else self.number(binary(moved, ast.Div(), ast.Constant(scale)))
            )
        number = self.scaled(slope, scale)
        if number is None or ref is None or self._is_product(name):
            return None
        return {"kind": kind, "covariate": self.covariate(name), "ref": ref, "slope": number}

    @staticmethod
    def _is_product(node: ast.expr) -> bool:
        return isinstance(node, ast.BinOp) and not is_sum(node)

    def _is_number(self, node: ast.expr) -> bool:
        return all(self.is_theta(name) for name in names_in(node))

    def sigmoids(self, leaves: list[Leaf | Effect]) -> list[Effect]:
        """Put a sigmoid, x^h / (x50^h + x^h) or 1 / (1 + (x / x50)^-h), in place of its factors."""
        effects = []
        for leaf in list(leaves):
            if isinstance(leaf, dict) or leaf[1] > 0 or not is_sum(leaf[0]):
                continue
            parts = [x for sign, x in summands(leaf[0]) if sign > 0]
            if len(parts) != 2 or len(list(summands(leaf[0]))) != 2:
                continue
            effect, partner = self._sigmoid(parts, leaves)
            if effect is None:
                continue
            place = leaves.index(leaf)
            leaves[place] = effect
            if partner is not None:
                leaves.remove(partner)
            effects.append(effect)
        return effects

    def _sigmoid(
        self, parts: Sequence[ast.expr], leaves: Sequence[Leaf | Effect]
    ) -> tuple[Effect | None, Leaf | None]:
        for raised, half in (parts, parts[::-1]):
            x, hill = _power_of(raised)
            if self._is_number(x):
                continue
            partner = next((leaf for leaf in leaves if not isinstance(leaf, dict) and leaf[1] > 0
                            and ast.dump(leaf[0]) == ast.dump(raised)), None)  # fmt: skip
            if partner is not None:
                x50, other = _power_of(half)
                if ast.dump(hill) != ast.dump(other):
                    if constant(half) is None or constant(hill) is None:
                        continue
                    x50 = ast.Constant((constant(half) or 0.0) ** (1.0 / (constant(hill) or 1.0)))
            elif constant(half) == 1.0 and isinstance(x, ast.BinOp) and isinstance(x.op, ast.Div):
                top, below = x.left, x.right
                if self._is_number(top):  # (x50 / x) ^ hill
                    x50, x = top, below
                else:
                    x50, x, hill = below, top, ast.UnaryOp(ast.USub(), hill)
            else:
                continue
            numbers = self.number(x50), self.number(hill)
            if None not in numbers:
                effect = {
                    "kind": "sigmoid",
                    "covariate": self.covariate(x),
                    "x50": numbers[0],
                    "hill": numbers[1],
                }
                return effect, partner
        return None, None

    def indicators(self, node: ast.expr) -> Effect | None:
        """Read first + X1*(second - first) + X2*(third - first), over columns that are 0 or 1."""
        parts = list(summands(node))
        if any(sign < 0 for sign, _ in parts) or not self._is_number(parts[0][1]):
            return None
        first = self.number(parts[0][1])
        columns, values = [], [first]
        before = parts[0][1]
        for _, part in parts[1:]:
            leaves = list(factors(part))
            if len(leaves) != 2 or not name_of(leaves[0][0]) or leaves[1][1] < 0:
                return None
            difference = list(summands(leaves[1][0]))
            if len(difference) != 2 or difference[1][0] > 0 or not self._is_number(leaves[1][0]):
                return None
            own = (ast.dump(parts[0][1]), ast.dump(before))
            if ast.dump(difference[1][1]) not in own:
                return None
            before = difference[0][1]
            columns.append(name_of(leaves[0][0]))
            values.append(self.number(before))
        if not columns or None in values:
            return None
        numbers = [x for x in values if x is not None]
        return self._of_categories(columns, numbers) or self._of_steps(columns, numbers)

    def _of_categories(self, columns: Sequence[str], numbers: Sequence[Number]) -> Effect | None:
        pairs = [self._levels.get(column, ("", 0)) for column in columns]
        if len({name for name, _ in pairs}) == 1 and pairs[0][0]:
            name = pairs[0][0]
            levels = self.source.file["covariates"][name]["levels"]
            if [k for _, k in pairs] == list(range(1, len(levels))):
                return self._category(name, dict(zip(levels, numbers, strict=True)))
        bases = {re.sub(rf"{k}$", "", column) for k, column in enumerate(columns, start=1)}
        if (
            len(bases) == 1
            and not self._levels
            and (base := bases.pop().lower())
            and base[-1] != "_"
        ):
            return self._category(base, {f"{base}_{k}": x for k, x in enumerate(numbers)})
        return None

    def _of_steps(self, columns: Sequence[str], numbers: Sequence[Number]) -> Effect | None:
        for theirs, ours in self._columns.items():
            at = [_step_of(theirs, column) for column in columns]
            if None not in at and [step_column(ours, x or 0.0) for x in at] == list(columns):
                return {"kind": "steps", "covariate": ours, "at": at, "factors": list(numbers)}
        return None


def _step_of(column: str, name: str) -> float | None:
    """Return the value from which a column is 1, by its name: AGE_6P5."""
    text = name.removeprefix(f"{column}_").replace("P", ".").replace("M", "-")
    try:
        return float(text) if name.startswith(f"{column}_") else None
    except ValueError:
        return None


def _power_of(node: ast.expr) -> tuple[ast.expr, ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return node.left, node.right
    return node, ast.Constant(1.0)


def _key(leaf: Leaf | Effect) -> str:
    return repr(leaf) if isinstance(leaf, dict) else f"{ast.dump(leaf[0])} {leaf[1]}"
