"""A draft of a model file from the model of another engine.

Every number comes with ``source = "to be filled"``, which is refused when the file is loaded: a
person has to say where in the paper it stands. What cannot be read is listed and left out.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fludapk.published.engines.reading import Source, read_source
from fludapk.published.tables import TO_BE_FILLED

_OURS: Final[Mapping[str, Sequence[str]]] = {
    "CL": ("CL",), "V1": ("V1", "V"), "Q2": ("Q2", "Q"), "V2": ("V2",), "Q3": ("Q3",),
    "V3": ("V3",),
    "k12": ("KK12", "K12"), "k21": ("KK21", "K21"), "k13": ("KK13", "K13"), "k31": ("KK31", "K31"),
}  # fmt: skip
"""Parameter -> its names in other engines."""
MOST_PARTS: Final = 1000
"""Parts of an expression that is read, names written out."""
DEEPEST: Final = 60
"""Levels of nesting of an expression at most."""
_UNITS: Final = {"C": "L/h", "Q": "L/h", "V": "L", "k": "1/h"}


class NotReadError(Exception):
    """A part of an expression that the grammar of model files does not have."""


@dataclass
class Read:
    """A parameter as the grammar has it."""

    terms: list[dict[str, Any]] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)
    loadings: dict[str, float] = field(default_factory=dict)
    """Name of an eta or a kappa -> its loading."""


@dataclass(frozen=True)
class Draft:
    """A model file to be completed.

    Parameters
    ----------
    toml : str
    unread : sequence of str
        Parts of the source that are not in it.
    """

    toml: str
    unread: Sequence[str]


def draft_of(text: str, name: str) -> Draft:
    r"""Draft a model file from the text of a model for NONMEM, mrgsolve, rxode2 or nlmixr2.

    Parameters
    ----------
    text : str
    name : str
        Id of the model.

    Raises
    ------
    InputError
        If the engine is not recognised.

    Examples
    --------
    >>> text = "$SUBROUTINES ADVAN1 TRANS2\n$PK\nCL = THETA(1)*(WT/70)**0.75*EXP(ETA(1))\n"
    >>> text += "V = THETA(2)\n$ERROR\nY = F*(1 + EPS(1))\n"
    >>> text += "$THETA 5 ; CL\n$THETA 40\n$OMEGA 0.09\n$SIGMA 0.04\n"
    >>> draft = draft_of(text, "somebody2026")
    >>> "THETA_1 = { value = 5," in draft.toml, list(draft.unread)
    (True, [])
    """
    source = read_source(text)
    reader = _Reader(source)
    parameters: dict[str, Read] = {}
    unread = list(source.unread)
    for ours, expression in reader.parameters().items():
        try:
            parameters[ours] = reader.read(expression)
        except NotReadError as error:
            unread.append(f"{ours} = {ast.unparse(expression)}: {error}")
    return Draft(_toml(name, source, reader, parameters), unread)


class _Reader:
    """Expressions of a source, with every name written out down to thetas, etas and columns."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.constants: dict[str, float] = {}
        self.covariates: dict[str, None] = {}
        self.categories: dict[str, int] = {}
        self.kappas: dict[str, float] = {}
        self.names: dict[str, ast.expr] = {}
        sizes: dict[str, int] = {}
        for name, text in source.statements:
            expression = _parsed(text)
            # counted before: a few lines of squares of squares would fill the memory
            size = 0 if expression is None else _size(expression, sizes)
            if expression is None or size > MOST_PARTS:
                source.unread.append(f"{name} = {text[:200]}")
                continue
            whole = _Inlined(self.names).visit(expression)
            if _is_deep(whole):
                source.unread.append(f"{name} = {text[:200]}")
                continue
            sizes[name], self.names[name] = size, whole

    def parameters(self) -> dict[str, ast.expr]:
        """Expression of each parameter of ours that is defined; micro-constants before flows."""
        there = {
            ours: next(self.names[name] for name in names if name in self.names)
            for ours, names in _OURS.items()
            if any(name in self.names for name in names)
        }
        for k in "23":
            if f"k1{k}" in there:
                there.pop(f"Q{k}", None)
                there.pop(f"V{k}", None)
        most = self.source.compartments or 3
        return {ours: x for ours, x in there.items() if _compartment(ours) <= most}

    def read(self, expression: ast.expr) -> Read:
        """Read a parameter: a sum of terms, times effects, times exp(random effects)."""
        result, head = Read(), {}
        for factor in _factors(expression):
            if self._is_random(factor):
                for name, loading in self._loadings(factor):
                    result.loadings[name] = result.loadings.get(name, 0.0) + loading
            elif self._is_sum_of_terms(factor):
                if result.terms:
                    raise NotReadError("two sums")
                result.terms = [self._term(part) for part in self._terms(factor)]
            elif "theta" not in head and isinstance(factor, ast.Name) and self._is_theta(factor):
                head["theta"] = factor.id
            else:
                result.effects.append(self._effect(factor))
        if head and result.terms:
            raise NotReadError("a factor before a sum of terms")
        if not result.terms:
            result.terms = [head]
        return result

    # -------------------------------------------------------------- parts

    def _is_theta(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self.source.thetas

    def _is_random(self, node: ast.expr) -> bool:
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        known = self.source.variances.keys() | self.source.same.keys()
        return bool(names & known)

    def _is_sum_of_terms(self, node: ast.expr) -> bool:
        is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)
        return is_sum and self._category(node) is None and self._linear(node) is None

    def _loadings(self, node: ast.expr) -> Iterable[tuple[str, float]]:
        if not (isinstance(node, ast.Call) and _name(node.func) == "exp" and node.args):
            raise NotReadError("a random effect that is not inside exp()")
        seen: set[str] = set()
        for part in _summands(node.args[0]):
            loading, occasion, effect = 1.0, False, ""
            for factor in _factors(part):
                constant = _constant(factor)
                if constant is not None:
                    loading *= constant
                elif isinstance(factor, ast.Name) and re.fullmatch(r"OCC\d+", factor.id):
                    occasion = True
                elif isinstance(factor, ast.Name) and self._is_random(factor):
                    effect = factor.id
                else:
                    raise NotReadError(f"{ast.unparse(factor)} beside a random effect")
            if not occasion:
                yield _ours("eta", effect), loading
                continue
            first = self.source.same.get(effect, effect)
            if first not in self.source.variances:
                raise NotReadError(f"{effect} without a variance")
            kappa = _ours("kappa", re.sub(r"_\d+$", "", first) if "ETA" not in first else first)
            self.kappas[kappa] = self.source.variances[first]
            if kappa not in seen:  # the same on every occasion
                seen.add(kappa)
                yield kappa, loading

    def _terms(self, node: ast.expr) -> list[ast.expr]:
        """Split a sum into terms; the sum that stands for a category is one of them."""
        is_sum = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)
        if not (is_sum and isinstance(node, ast.BinOp)) or self._category(node) is not None:
            return [node]
        return [*self._terms(node.left), *self._terms(node.right)]

    def _term(self, node: ast.expr) -> dict[str, Any]:
        term: dict[str, Any] = {}
        effects = []
        for factor in _factors(node):
            if "theta" not in term and isinstance(factor, ast.Name) and self._is_theta(factor):
                term["theta"] = factor.id
            else:
                effects.append(self._effect(factor))
        return {**term, "effects": effects} if effects else term

    def _effect(self, node: ast.expr) -> dict[str, Any]:
        for read in (self._power, self._exponential, self._sigmoid, self._category, self._linear):
            effect = read(node)
            if effect is not None:
                return effect
        raise NotReadError(f"{ast.unparse(node)} is no effect of the grammar")

    def _power(self, node: ast.expr) -> dict[str, Any] | None:
        base: ast.expr = node
        exponent: Any = 1.0
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            base, exponent = node.left, self._number(node.right)
        ref: Any = 1.0
        if isinstance(base, ast.BinOp) and isinstance(base.op, ast.Div):
            ref = self._number(base.right)
            base = base.left
        if not isinstance(base, ast.Name) or exponent is None or ref is None:
            return None
        if self._is_theta(base) or self._is_random(base):
            return None
        return {"kind": "power", "covariate": self._column(base.id), "ref": ref,
                "exponent": exponent}  # fmt: skip

    def _exponential(self, node: ast.expr) -> dict[str, Any] | None:
        if isinstance(node, ast.Call) and _name(node.func) == "exp" and node.args:
            return self._change("exponential", node.args[0])
        return None

    def _linear(self, node: ast.expr) -> dict[str, Any] | None:
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)):
            return None
        return self._change("linear", node.right) if _constant(node.left) == 1.0 else None

    def _change(self, kind: str, node: ast.expr) -> dict[str, Any] | None:
        """Read slope * (x - ref), or slope * x."""
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)):
            return None
        slope, ref = self._number(node.left), 0.0  # type: Any, Any
        x: ast.expr = node.right
        if isinstance(x, ast.BinOp) and isinstance(x.op, ast.Sub):
            ref = self._number(x.right)
            x = x.left
        if slope is None or ref is None or not isinstance(x, ast.Name) or self._is_theta(x):
            return None
        return {"kind": kind, "covariate": self._column(x.id), "ref": ref, "slope": slope}

    def _sigmoid(self, node: ast.expr) -> dict[str, Any] | None:
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
            return None
        top, below = node.left, node.right
        if not (isinstance(top, ast.BinOp) and isinstance(top.op, ast.Pow)):
            return None
        if not (isinstance(below, ast.BinOp) and isinstance(below.op, ast.Add)):
            return None
        half = below.left
        same = ast.dump(below.right) == ast.dump(top)
        if not (same and isinstance(half, ast.BinOp) and isinstance(half.op, ast.Pow)):
            return None
        x50, hill = self._number(half.left), self._number(top.right)
        if x50 is None or hill is None or not isinstance(top.left, ast.Name):
            return None
        return {"kind": "sigmoid", "covariate": self._column(top.left.id), "x50": x50,
                "hill": hill}  # fmt: skip

    def _category(self, node: ast.expr) -> dict[str, Any] | None:
        """Read first + X1*(second - first) + X2*(third - first)."""
        first, *changes = _summands(node)
        factors = [self._number(first)]
        covariate = ""
        for k, change in enumerate(changes, start=1):
            parts = _factors(change)
            if len(parts) != 2 or not isinstance(parts[0], ast.Name):
                return None
            name = re.fullmatch(rf"(\w*[A-Za-z_]){k}", parts[0].id)
            difference = parts[1]
            if name is None or not (
                isinstance(difference, ast.BinOp)
                and isinstance(difference.op, ast.Sub)
                and ast.dump(difference.right) == ast.dump(first)
            ):
                return None
            covariate = name[1].lower()
            factors.append(self._number(difference.left))
        if not changes or None in factors:
            return None
        self.categories[covariate] = len(factors)
        names = (f"{covariate}_{k}" for k in range(len(factors)))
        return {"kind": "category", "covariate": covariate,
                "factors": dict(zip(names, factors, strict=True))}  # fmt: skip

    def _number(self, node: ast.expr) -> float | str | None:
        """Read a number or the name of a theta."""
        constant = _constant(node)
        if constant is None and isinstance(node, ast.Name) and self._is_theta(node):
            return node.id
        return constant

    def _column(self, name: str) -> str:
        self.covariates[name] = None
        return name


def _parsed(text: str) -> ast.expr | None:
    """Parse an expression; None if it is none, or nested beyond reading."""
    depth = deepest = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, depth)
    if len(text) > 10 * MOST_PARTS or deepest > DEEPEST:
        return None
    try:
        expression = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: -----x
        return None
    return None if _is_deep(expression) else expression


def _size(expression: ast.expr, sizes: Mapping[str, int]) -> int:
    """Count the parts of an expression whose names are written out."""
    parts = (node for node in ast.walk(expression) if isinstance(node, ast.expr))
    return sum(sizes.get(_name(node), 1) for node in parts)


def _is_deep(expression: ast.expr) -> bool:
    """Tell if parts are nested so deeply that walking through them would fail."""
    level: list[ast.AST] = [expression]
    for _ in range(DEEPEST):
        level = [inner for node in level for inner in ast.iter_child_nodes(node)]
    return bool(level)


class _Inlined(ast.NodeTransformer):
    """Put definitions in the place of their names."""

    def __init__(self, names: Mapping[str, ast.expr]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return the definition of a name, if it has one."""
        return self.names.get(node.id, node)


def _constant(node: ast.expr) -> float | None:
    """Return the value of a number, with its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _constant(node.operand)
        return None if value is None else -value
    is_number = isinstance(node, ast.Constant) and isinstance(node.value, int | float)
    try:
        return float(ast.literal_eval(node)) if is_number else None
    except OverflowError:
        return None


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _factors(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left), *_factors(node.right)]
    return [node]


def _summands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [*_summands(node.left), *_summands(node.right)]
    return [node]


def _compartment(parameter: str) -> int:
    """Return the compartment that a parameter needs: 3 for V3, k13 and k31."""
    return max((int(digit) for digit in parameter[1:] if digit.isdigit()), default=1)


def _ours(kind: str, name: str) -> str:
    """Name a random effect as model files do: E_CL becomes eta_CL."""
    plain = re.sub(r"^(ETA|eta|kappa|E|K)[_.]", "", name)
    return f"{kind}_{re.sub(r'[^A-Za-z0-9]', '', plain)}"


# ------------------------------------------------------------------ the file


def _toml(name: str, source: Source, reader: _Reader, parameters: Mapping[str, Read]) -> str:
    lines = [
        f"# Draft from a model for {source.engine}. Say of every number where the paper has it;",
        f'# the file is refused while it holds "{TO_BE_FILLED}". See README.md of the models.',
        'format = "fludapk.model/1"',
        f'id = "{name}"',
        f'title = "{TO_BE_FILLED}"',
        f"compartments = {source.compartments}",
        *("", "[citation]", *_texts("authors", "title", "journal", "doi"), "# year ="),
        *("", "[dose]", 'prescribed = "fludarabine phosphate"', 'modelled = "F-ara-A"'),
        *("# factor =, 1 or 0.781", *_texts("basis", "evidence", "source")),
        *("", "[population]", "# n =", *_texts("who", "description", "regimen", "source")),
        *_covariates(reader),
        *("", "[theta]", *(_theta(source, theta) for theta in source.thetas)),
    ]
    for parameter, read in parameters.items():
        lines += ["", f"[parameters.{parameter}]", f'unit = "{_UNITS[parameter[0]]}"']
        lines.append(f"terms = {_inline(read.terms)}")
        lines += [f"effects = {_inline(read.effects)}"] if read.effects else []
    lines += _random_effects(source, reader, parameters)
    for kind, sd in source.residual.items():
        lines += ["", f"[ruv.{kind}]", f"value = {sd:.15g}", _SOURCE]
    lines += ["", "# [[reproduces]]: a number that the paper prints and the file gives back"]
    return "\n".join(lines) + "\n"


_SOURCE: Final = f'source = "{TO_BE_FILLED}"'


def _covariates(reader: _Reader) -> list[str]:
    lines = []
    for covariate in reader.covariates:
        lines += ["", f"[covariates.{covariate}]", f'unit = "{TO_BE_FILLED}"', _SOURCE]
        lines += ["# range = [ , ], studied", "# limits = [ , ], possible"]
    for covariate, count in reader.categories.items():
        names = ", ".join(f'"{covariate}_{k}"' for k in range(count))
        lines += ["", f"[covariates.{covariate}]", f"levels = [{names}]", _SOURCE]
    return lines


def _theta(source: Source, name: str) -> str:
    fixed = ", fixed = true" if name in source.fixed else ""
    value = f"{source.thetas[name]:.15g}"
    return f'{name} = {{ value = {value}, unit = "{TO_BE_FILLED}"{fixed}, {_SOURCE} }}'


def _random_effects(source: Source, reader: _Reader, parameters: Mapping[str, Read]) -> list[str]:
    """Write etas and kappas that act on a parameter, and correlations of the etas."""
    etas = {_ours("eta", eta): variance for eta, variance in source.variances.items()}
    lines: list[str] = []
    used = set()
    for kind, variances in (("iiv", etas), ("iov", reader.kappas)):
        for effect, variance in variances.items():
            on = {p: r.loadings[effect] for p, r in parameters.items() if effect in r.loadings}
            if not on:
                continue
            used.add(effect)
            lines += ["", f"[[{kind}]]", f'name = "{effect}"', f"value = {variance:.15g}"]
            lines += ['scale = "variance"', f"on = {_inline(on)}", _SOURCE]
    for pair, covariance in source.covariances.items():
        first, second = (_ours("eta", eta) for eta in pair)
        both = source.variances.get(pair[0], 0.0) * source.variances.get(pair[1], 0.0)
        if {first, second} <= used and both > 0.0:
            lines += ["", "[[iiv_correlations]]", f'between = ["{first}", "{second}"]']
            lines += [f"value = {covariance / math.sqrt(both):.6g}", _SOURCE]
    return lines


def _texts(*keys: str) -> list[str]:
    return [f'{key} = "{TO_BE_FILLED}"' for key in keys]


def _inline(value: Any) -> str:
    """Write a value of TOML on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(x)}" for key, x in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(x) for x in value) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:.15g}"
