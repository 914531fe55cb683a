"""A draft of a model file from the model of another engine.

Every number comes with ``source = "to be filled"``, which is refused when the file is loaded: a
person has to say where in the paper it stands. What cannot be read is listed and left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fludapk.published.engines.algebra import (
    MOST_PARTS,
    Inlined,
    NotReadError,
    binary,
    constant,
    factors,
    is_call,
    is_deep,
    is_sum,
    name_of,
    names_in,
    parsed,
    product,
    simplified,
    size,
    summands,
)
from fludapk.published.engines.cases import cases_of, is_occasion
from fludapk.published.engines.draft_file import Read, names_of_thetas, toml
from fludapk.published.engines.logit import logit_of
from fludapk.published.engines.ordinary import doubts
from fludapk.published.engines.parts import Effect, Leaf, Parts
from fludapk.published.engines.placing import Numbers
from fludapk.published.engines.reading import read_source
from fludapk.published.engines.residual import OBSERVED, residual_of
from fludapk.published.engines.source import UNREAD, Source
from fludapk.published.model_faults import ESTIMATED
from fludapk.published.model_files import Units

_THEIRS: Final[Mapping[str, Sequence[str]]] = {
    "CL": ("CL",), "V1": ("V1", "V", "VC"), "Q2": ("Q2", "Q"), "V2": ("V2", "VP"), "Q3": ("Q3",),
    "V3": ("V3", "VP2"),
    "k12": ("KK12", "K12"), "k21": ("KK21", "K21"), "k13": ("KK13", "K13"), "k31": ("KK31", "K31"),
}  # fmt: skip
"""Parameter -> its names in other engines, in capitals."""


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
    unread = source.unread
    expressions = reader.parameters()
    for ours, expression in expressions.items():
        try:
            parameters[ours] = reader.read(ours, expression)
        except NotReadError as error:
            shown = ast.unparse(expression)
            unread.append(
                f"{ours} = {shown if len(shown) < 500 else shown[:500] + ' ...'}: {error}"
            )
    unread += doubts(source, reader.theirs)
    unread += _missing(source, expressions)
    reader.take_residual()
    return Draft(
        toml(name, source, reader.parts, parameters, reader.kappas), list(dict.fromkeys(unread))
    )


def _missing(source: Source, there: Mapping[str, Any]) -> list[str]:
    """Name the parameters that are not defined."""
    if source.compartments not in ESTIMATED:
        return [f"{source.compartments} compartments"] if source.compartments > 3 else []
    flows, *micro = ESTIMATED[source.compartments]
    needed = micro[0] if micro and "k12" in there else flows
    return [
        f"{name}: not defined, under a name that is known" for name in needed if name not in there
    ]


class _Reader:
    """Parameters of a source, with every name written out down to thetas, etas and columns."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.kappas: dict[str, float] = {}
        self.occasions: dict[str, set[Any]] = {}
        self.theirs: dict[str, str] = {}
        self.names: dict[str, ast.expr] = {}
        defined: dict[str, str] = {}
        sizes: dict[str, int] = {}
        if source.file:
            is_own = source.thetas.keys() | source.variances.keys() | source.same.keys()
            numbered = {name for name in is_own if re.fullmatch(r"(THETA|ETA)_\d+", name)}
            source.alias = {text: name for name, text in source.statements if text in numbered}
        for name, text in source.statements:
            expression = parsed(text)
            # counted before: a few lines of squares of squares would fill the memory
            parts = 0 if expression is None else size(expression, sizes)
            whole = None
            if expression is not None and parts <= MOST_PARTS:
                whole = Inlined(self.names).visit(expression)
            if whole is None or is_deep(whole):
                source.unread.append(f"{name} = {text[:200]}")
                sizes[name], self.names[name] = 1, ast.Name(UNREAD)
                continue
            sizes[name], self.names[name] = parts, whole
            defined[ast.dump(simplified(whole))] = name
        self.parts = Parts(source, defined)
        self.units: Units | None = None
        try:
            if "units" in source.file:
                self.units = Units(**source.file["units"], source="the export")
        except (TypeError, ValueError):
            source.unread.append("units of the paper")
        self.litres = 1.0 if self.units is None else self.units.litres

    def parameters(self) -> dict[str, ast.expr]:
        """Expression of each parameter of ours that is defined; micro-constants before flows."""
        if self.source.compartments < 0:
            return {}
        theirs = self._names_of_parameters()
        if self.source.closed_form:
            self.source.compartments = 1 + sum(
                f"Q{k}" in theirs or f"k1{k}" in theirs for k in "23"
            )
        order = {name: place for place, (name, _) in enumerate(self.source.statements)}
        for k in "23":
            pairs = ((f"k1{k}", f"k{k}1"), (f"Q{k}", f"V{k}"))
            first = [order.get(theirs.get(name, ""), len(order)) for name, _ in pairs]
            computed = pairs[0] if first[1] < first[0] else pairs[1]  # the later one
            if all(name in theirs for name, _ in pairs):
                theirs = {ours: name for ours, name in theirs.items() if ours not in computed}
        most = self.source.compartments or 3
        self.theirs = {ours: name for ours, name in theirs.items() if _compartment(ours) <= most}
        return {ours: self.names.get(name, ast.Name(name)) for ours, name in self.theirs.items()}

    def _names_of_parameters(self) -> dict[str, str]:
        """Name of each of our parameters in the source; of individual ones CLI and CL_I as well."""
        given = [*self.source.thetas, *self.names]
        capitals = {name.upper(): name for name in given}
        capitals |= {name.upper(): name for name in self.names}
        theirs = {}
        for ours, names in _THEIRS.items():
            spelt = (f"{name}{end}" for end in ("I", "_I", "") for name in names)
            chosen = next((capitals[name] for name in spelt if name in capitals), None)
            if chosen is not None:
                theirs[ours] = chosen
        third = self.source.compartments == 3 or self.source.closed_form
        if {"Q", "Q2"} <= capitals.keys() and "Q3" not in capitals and third:  # as rxode2 counts
            theirs |= {"Q2": capitals["Q"], "Q3": capitals["Q2"]}
        return theirs

    def take_residual(self) -> None:
        """Tell the residual error from the statements of the observation."""
        source = self.source
        if source.error and not source.residual:
            y = next((x for x in reversed(source.error) if x[0] in OBSERVED), source.error[-1])
            residual = residual_of(source.error, source.thetas, source.sigmas)
            if residual is None:
                source.unread.append(f"{y[0]} = {y[1]}")
                return
            source.residual, source.adds_sds = residual
            statements = [parsed(text) for _, text in source.error]
            for name in set().union(*(names_in(x) for x in statements if x is not None)):
                if self.parts.is_theta(name) and name not in self.parts.used:
                    del source.thetas[name]  # a part of the error
        elif not source.residual:
            source.unread.append("residual error: none that is known")
        if "additive" in source.residual:
            additive = source.residual["additive"] / self._conc()
            source.residual["additive"] = float(f"{additive:.12g}")

    def _conc(self) -> float:
        """Return a concentration of 1 in the units of the paper, mg/L of the total drug."""
        binding = self.source.file.get("binding", {})
        fu = binding.get("fu") if binding.get("modelled") == "unbound" else 1.0
        if isinstance(fu, str):
            theirs = {ours: name for name, ours in names_of_thetas(self.source).items()}
            fu = self.source.thetas.get(theirs.get(fu, ""), 1.0)
        scale = 1.0 if self.units is None else self.units.concentration_mg_l
        return scale / fu if isinstance(fu, int | float) and fu > 0.0 else scale

    # -------------------------------------------------------------- a parameter

    def read(self, ours: str, expression: ast.expr) -> Read:
        """Read a parameter: a sum of terms, times effects, times exp(random effects)."""
        if UNREAD in names_in(expression):
            raise NotReadError("a part of it was not read")
        read = Read()
        units = 1.0 if ours.startswith("k") else self.litres
        for leaf in self._logit(expression, read, units) or self.parts.leaves(
            simplified(expression)
        ):
            read.leaves.append(leaf)
        self.parts.sigmoids(read.leaves)
        numbers = Numbers(self.parts, 1.0 if read.bent else 1.0 / units)
        sums: list[ast.expr] = []
        for leaf in read.leaves:
            if isinstance(leaf, dict):
                read.effects.append(leaf)
            elif self.parts.is_random(leaf[0]) and not is_sum(leaf[0]):
                self._add_loadings(leaf, read.own)
            elif numbers.takes(leaf, read.effects):
                continue
            elif leaf[1] > 0 and is_sum(leaf[0]) and self._is_terms(leaf[0]):
                sums.append(leaf[0])
            else:
                read.effects.append(self.parts.effect(*leaf))
        if len(sums) > 1:
            raise NotReadError("two sums")
        read.loadings = self._common(read.own)
        if sums and self._has_added(sums[0]):
            self._read_added(sums[0], numbers, read)
            return read
        head = numbers.place(read.effects, has_head=not sums)
        read.terms = [self._term(x, sign) for sign, x in self._split(sums[0])] if sums else [head]
        return read

    def _split(self, node: ast.expr, sign: float = 1.0) -> Iterator[tuple[float, ast.expr]]:
        """Take a sum of terms apart; the sum that stands for categories is one of them."""
        if isinstance(node, ast.BinOp) and is_sum(node) and self.parts.indicators(node) is None:
            yield from self._split(node.left, sign)
            yield from self._split(node.right, -sign if isinstance(node.op, ast.Sub) else sign)
        else:
            yield sign, node

    def _is_terms(self, node: ast.expr) -> bool:
        """Tell a sum of terms, or with an eta, from a sum that is one effect."""
        if self.parts.is_random(node):
            return True
        kept = dict(self.parts.computed), set(self.parts.used)
        try:
            self.parts.effect(node, 1)
        except NotReadError:
            return True
        finally:
            self.parts.computed, self.parts.used = kept
        return False

    def _term(self, node: ast.expr, sign: float) -> dict[str, Any]:
        """Read a term: a theta, effects, an eta of its own."""
        read, leaves = Read(), self.parts.leaves(simplified(node))
        self.parts.sigmoids(leaves)
        numbers = Numbers(self.parts, sign)
        for leaf in leaves:
            if isinstance(leaf, dict):
                read.effects.append(leaf)
            elif self.parts.is_random(leaf[0]):
                self._add_loadings(leaf, read.own)
            elif not numbers.takes(leaf, read.effects):
                read.effects.append(self.parts.effect(*leaf))
        term = numbers.place(read.effects, has_head=True)
        loadings = self._common(read.own)
        if loadings:
            ((eta, loading),) = [*loadings.items()] if len(loadings) == 1 else [("", 0.0)]
            if loading != 1.0 or not eta.startswith("eta_"):
                raise NotReadError("a term with more than an eta of its own")
            if self._varies(eta):
                term["eta"] = eta
        return {**term, "effects": read.effects} if read.effects else term

    # -------------------------------------------------------------- random effects

    def _add_loadings(self, leaf: Leaf, own: dict[tuple[str, str], float]) -> None:
        node, sign = leaf
        if not is_call(node, "exp"):
            raise NotReadError(f"{ast.unparse(node)}: a random effect that is not inside exp()")
        self._add(node.args[0], sign, own)

    def _add(self, node: ast.expr, sign: float, own: dict[tuple[str, str], float]) -> None:
        """Read a sum of random effects, each times a number."""
        for inner, part in summands(node, sign):
            whole = [leaf for leaf in factors(part) if is_sum(leaf[0])]
            scale = constant(product([leaf for leaf in factors(part) if leaf not in whole]))
            if len(whole) == 1 and scale is not None and self.parts.is_random(whole[0][0]):
                self._add(whole[0][0], inner * scale, own)
                continue
            for name, effect, loading in self._effects(part):
                own[name, effect] = own.get((name, effect), 0.0) + inner * loading

    def _common(self, own: Mapping[tuple[str, str], float]) -> dict[str, float]:
        """Return the loading of each eta and kappa; a kappa acts on every occasion, and alike."""
        loadings: dict[str, float] = {}
        at: dict[str, set[Any]] = {}
        for (name, effect), loading in own.items():
            if loadings.setdefault(name, loading) != loading:
                raise NotReadError(f"{name}: another loading at each occasion")
            if name.startswith("kappa_"):
                at.setdefault(name, set()).update(self.occasions[effect])
        if any(occasions != next(iter(at.values())) for occasions in at.values()):
            raise NotReadError("random effects that are not the same on every occasion")
        return loadings

    def _varies(self, eta: str) -> bool:
        """Tell an eta from one whose variance is fixed to 0."""
        return any(
            self.source.variances.get(k) for k, ours in self.source.etas.items() if ours == eta
        )

    def _effects(self, node: ast.expr) -> Iterator[tuple[str, str, float]]:
        """Read a random effect times a number, or the ones of occasions."""
        branch = next((x for x in ast.walk(node) if isinstance(x, ast.IfExp)), None)
        if branch is not None:
            asked, _ = cases_of(branch)
            shared = {*self.source.same, *self.source.same.values()}
            if not is_occasion(asked) and not (names_in(node) & shared):
                raise NotReadError(f"random effects that go by {asked}")
            whole = ast.IfExp(test=branch.test, body=node, orelse=node)
            for at, case in cases_of(whole)[1].items():
                if constant(case) != 0.0 and not _has_zero(case):
                    effect, loading = self._one_effect(case)
                    self.occasions.setdefault(effect, set()).add(at)
                    yield self._kappa(effect), effect, loading
            return
        effect, loading = self._one_effect(node)
        columns = {name for name in names_in(node) if is_occasion(name)}
        is_iov = bool(columns)
        self.occasions.setdefault(effect, set()).update(columns)
        yield self._kappa(effect) if is_iov else self._ours("eta", effect), effect, loading

    def _one_effect(self, node: ast.expr) -> tuple[str, float]:
        loading, effect = 1.0, ""
        for factor, sign in factors(node):
            number = constant(factor)
            name = name_of(factor)
            if number:
                loading *= number**sign
            elif name and self.parts.is_random(factor) and not effect and sign > 0:
                effect = name
            elif not is_occasion(name):
                raise NotReadError(f"{ast.unparse(factor)} beside a random effect")
        if not effect:
            raise NotReadError(f"{ast.unparse(node)}: no random effect")
        return effect, loading

    def _kappa(self, effect: str) -> str:
        """Name the kappa of an effect of one occasion; all of them have its variance."""
        first = self.source.same.get(effect, effect)
        if first not in self.source.variances:
            raise NotReadError(f"{effect} without a variance")
        named = self.source.alias.get(first, first)
        plain = named if re.fullmatch(r"ETA_\d+", named) else re.sub(r"_\d+$", "", named)
        kappa, variance = self._ours("kappa", plain), self.source.variances[first]
        if self.kappas.setdefault(kappa, variance) != variance:
            raise NotReadError(f"{kappa}: another variance at each occasion")
        self.source.kappas[first] = kappa
        return kappa

    def _ours(self, kind: str, name: str) -> str:
        """Name a random effect as model files do: E_CL becomes eta_CL."""
        plain = re.sub(r"^(ETA|eta|kappa|E|K)[_.]", "", self.source.alias.get(name, name))
        ours = f"{kind}_{re.sub(r'[^A-Za-z0-9]', '', plain)}"
        spelt = {str(x).lower(): str(x) for x in self.source.file.get("effects", ())}
        ours = spelt.get(ours.lower(), ours)
        if kind == "eta":
            self.source.etas[name] = ours
        return ours

    # -------------------------------------------------------------- etas added, or of a logit

    def _has_added(self, node: ast.expr) -> bool:
        """Tell a sum in which an eta is added."""
        return any(
            self.parts.is_random(x) and not any(is_call(f, "exp") for f, _ in factors(x))
            for _, x in summands(node)
        )

    def _read_added(self, node: ast.expr, numbers: Numbers, read: Read) -> None:
        """Read (typical value + eta), times a number."""
        scale = 1.0 if abs(numbers.constant - 1.0) < 1e-12 else numbers.constant
        if read.effects or read.own or numbers.thetas:
            raise NotReadError("an added random effect beside other effects")
        total: ast.expr | None = None
        for sign, part in summands(node):
            if self.parts.is_random(part):
                own: dict[tuple[str, str], float] = {}
                self._add(part, sign, own)
                for (name, _), loading in own.items():
                    if not name.startswith("eta_"):
                        raise NotReadError("an added random effect of occasions")
                    read.bent[name] = ("additive", loading * scale, [])
                continue
            signed = part if sign > 0 else ast.UnaryOp(ast.USub(), part)
            total = signed if total is None else binary(total, ast.Add(), signed)
        if total is None:
            raise NotReadError("an added random effect without a typical value")
        inner = self.read(
            "k", total if scale == 1.0 else binary(total, ast.Mult(), ast.Constant(scale))
        )
        read.terms, read.effects = inner.terms, inner.effects

    def _logit(self, node: ast.expr, read: Read, units: float) -> list[Leaf | Effect] | None:
        """Read a parameter with an eta of its logit, perhaps times exp(eta): the typical value."""
        for (whole, sign), *rest in _rotations(list(factors(node))):
            logit = logit_of(whole) if sign > 0 and self.parts.is_random(whole) else None
            if logit is None:
                continue
            typical, low, high, shift = logit
            own: dict[tuple[str, str], float] = {}
            self._add(shift, 1.0, own)
            for (name, _), loading in own.items():
                read.bent[name] = ("logit", loading, [low, high])
            if not self._cancels(rest, units):
                raise NotReadError("a random effect of a logit beside a number")
            others = [(x, s) for x, s in rest if constant(x) is None]
            return [*self.parts.leaves(simplified(typical)), *others]
        return None

    @staticmethod
    def _cancels(leaves: Sequence[Leaf], units: float) -> bool:
        number = constant(product([(x, s) for x, s in leaves if constant(x) is not None])) or 0.0
        return abs(number / units - 1.0) < 1e-12


def _rotations(leaves: list[Leaf]) -> Iterator[list[Leaf]]:
    for k, leaf in enumerate(leaves):
        yield [leaf, *leaves[:k], *leaves[k + 1 :]]


def _has_zero(node: ast.expr) -> bool:
    return any(constant(x) == 0.0 for x, _ in factors(node))


def _compartment(parameter: str) -> int:
    """Return the compartment that a parameter needs: 3 for V3, k13 and k31."""
    return max((int(digit) for digit in parameter[1:] if digit.isdigit()), default=1)
