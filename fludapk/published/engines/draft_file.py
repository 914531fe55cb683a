"""The text of a draft: what was read, and what a person has to say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fludapk.published.engines.dictionary import inline
from fludapk.published.engines.parts import Effect, Leaf, Parts
from fludapk.published.engines.source import Source
from fludapk.published.formulas import FORMULAS
from fludapk.published.model_faults import sources_of, units_of_parameters
from fludapk.published.tables import COURSE_COVARIATES, PATIENT_COVARIATES, TO_BE_FILLED

_SOURCE: Final = f'source = "{TO_BE_FILLED}"'
_BY_THETA: Final = ("theta", "ref", "exponent", "slope", "x50", "hill", "max", "value", "fat")


@dataclass
class Read:
    """A parameter as the grammar has it."""

    terms: list[dict[str, Any]] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    own: dict[tuple[str, str], float] = field(default_factory=dict)
    """Name of an eta or a kappa, and its name in the source -> its loading."""
    bent: dict[str, tuple[str, float, list[float]]] = field(default_factory=dict)
    """Name of an eta that is added or shifts a logit -> kind, loading, bounds."""
    leaves: list[Leaf | Effect] = field(default_factory=list)
    loadings: dict[str, float] = field(default_factory=dict)
    """Name of an eta or a kappa -> its loading, the same on every occasion."""


def toml(
    name: str,
    source: Source,
    parts: Parts,
    parameters: Mapping[str, Read],
    kappas: Mapping[str, float],
) -> str:
    """Write a draft.

    Parameters
    ----------
    name : str
        Id of the model.
    source : Source
    parts : Parts
        Covariates, categories and computed thetas that the parameters need.
    parameters : mapping of str to Read
    kappas : mapping of str to float
        Name -> variance.
    """
    words, renamed = source.file, names_of_thetas(source)
    dose = words.get("dose", {})
    units = units_of_parameters(words)
    lines = [
        f"# Draft from a model for {source.engine}. Say of every number where the paper has it;",
        f'# the file is refused while it holds "{TO_BE_FILLED}". See README.md of the models.',
        'format = "fludapk.model/1"',
        f'id = "{name}"',
        f'title = "{TO_BE_FILLED}"',
        f"compartments = {max(source.compartments, 0)}",
        *("", "[citation]", *_texts("authors", "title", "journal", "doi"), "# year ="),
        *("", "[dose]"),
        *(f"{key} = {inline(dose.get(key, TO_BE_FILLED))}" for key in ("prescribed", "modelled")),
        f"factor = {inline(dose['factor'])}" if "factor" in dose else "# factor =",
        f"basis = {inline(dose.get('basis', TO_BE_FILLED))}",
        *_texts("evidence", "source"),
        *("", "[population]", "# n =", *_texts("who", "description", "regimen", "source")),
    ]
    for table in ("units", "binding"):
        if table in words:
            lines += [
                "",
                f"[{table}]",
                *(f"{k} = {inline(x)}" for k, x in words[table].items()),
                _SOURCE,
            ]
    lines += _covariates(source, parts, renamed)
    lines += ["", "[theta]", *_thetas(source, parts, renamed)]
    for parameter, read in parameters.items():
        terms = _named_terms(words.get("terms", {}).get(parameter, []), read.terms)
        lines += ["", f"[parameters.{parameter}]"]
        lines.append(f"unit = {inline(units.get(parameter[0], units['']))}")
        lines.append(f"terms = {inline(_renamed(terms, renamed))}")
        if read.effects:
            lines.append(f"effects = {inline(_renamed(read.effects, renamed))}")
    lines += _random_effects(source, parameters, kappas)
    lines += ["", "[ruv]", 'combined = "sds"'] if source.adds_sds else []
    for kind, sd in source.residual.items():
        lines += ["", f"[ruv.{kind}]", f"value = {sd:.15g}", _SOURCE]
    lines += ["", "# [[reproduces]]: a number that the paper prints and the file gives back"]
    return "\n".join(lines) + "\n"


def names_of_thetas(source: Source) -> dict[str, str]:
    """Theta of the source -> its name in the file."""
    ours = {f"TH_{name.upper()}": name for name in source.file.get("theta", {})}
    aliases = {name: source.alias.get(name, name) for name in source.thetas}
    return {name: ours.get(alias, name) for name, alias in aliases.items()}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return terms or effects with the names that thetas have in the file."""
    if isinstance(value, list):
        return [_renamed(x, names) for x in value]
    if not isinstance(value, dict):
        return value
    return {
        key: names.get(x, x) if key in _BY_THETA and isinstance(x, str)
        else _factors(x, names) if key == "factors" else _renamed(x, names)
        for key, x in value.items()
    }  # fmt: skip


def _factors(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [names.get(x, x) if isinstance(x, str) else x for x in value]
    return {key: names.get(x, x) if isinstance(x, str) else x for key, x in value.items()}


def _named_terms(names: list[str], terms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say which terms of a clearance are renal."""
    if len(names) != len(terms):
        return terms
    return [{**({"name": n} if n else {}), **t} for n, t in zip(names, terms, strict=True)]


def _covariates(source: Source, parts: Parts, renamed: Mapping[str, str]) -> Iterator[str]:
    words = source.file.get("covariates", {})
    for name, table in words.items():  # an export has all that are needed, also to derive others
        own = (
            {**table, "cap": {**table["cap"], "source": TO_BE_FILLED}} if "cap" in table else table
        )
        yield from ("", f"[covariates.{name}]")
        yield from (f"{key} = {inline(x)}" for key, x in own.items())
        yield _SOURCE
    plain = dict.fromkeys([*parts.covariates, *_needed(parts)])
    for name in plain:
        if name in words or name in parts.derived or name in parts.categories:
            continue
        unit = {**PATIENT_COVARIATES, **COURSE_COVARIATES}.get(name, TO_BE_FILLED)
        yield from ("", f"[covariates.{name}]", f"unit = {inline(unit)}", _SOURCE)
        yield from ("# range = [ , ], studied", "# limits = [ , ], possible")
    for name, table in parts.derived.items():
        formula = FORMULAS[table["derived"]]
        yield from ("", f"[covariates.{name}]", f"unit = {inline(formula.unit)}")
        yield from (f"{key} = {inline(x)}" for key, x in _renamed(table, renamed).items())
        yield _SOURCE
    for name, levels in parts.categories.items():
        if name not in words:
            yield from ("", f"[covariates.{name}]", f"levels = {inline(levels)}", _SOURCE)
            yield "# levels are codes of the data: name them, here and in the effects"


def _needed(parts: Parts) -> Iterator[str]:
    for table in parts.derived.values():
        yield from sorted(sources_of(table) - {"fat"})


def _thetas(source: Source, parts: Parts, renamed: Mapping[str, str]) -> Iterator[str]:
    """Write thetas, and what is computed from them instead of those that only serve for it."""
    inner = set().union(*(names for *_, names in parts.computed.values()))
    units = source.file.get("theta", {})
    for name, theta in source.thetas.items():
        if not math.isfinite(theta) or (name in inner and name not in parts.used):
            continue
        ours = renamed[name]
        table = units.get(ours, {})
        fixed = ", fixed = true" if name in source.fixed or table.get("fixed") else ""
        unit = inline(table.get("unit", TO_BE_FILLED))
        yield f"{ours} = {{ value = {theta:.15g}, unit = {unit}{fixed}, {_SOURCE} }}"
    for name, (theta, text, names) in parts.computed.items():
        yield f"# {name} = {text}, with " + ", ".join(
            f"{n} = {x:.15g}" for n, x in source.thetas.items() if n in names
        )
        yield f'{name} = {{ value = {theta:.15g}, unit = "{TO_BE_FILLED}", {_SOURCE} }}'


def _random_effects(
    source: Source, parameters: Mapping[str, Read], kappas: Mapping[str, float]
) -> Iterator[str]:
    """Write etas and kappas that act on something, and their correlations."""
    etas = {
        ours: source.variances[name]
        for name, ours in source.etas.items()
        if name in source.variances
    }
    ordered = [name for name in source.variances if name in source.etas]
    etas = {source.etas[name]: source.variances[name] for name in ordered}
    on_terms = {t.get("eta") for read in parameters.values() for t in read.terms}
    used: set[str] = set()
    for kind, variances in (("iiv", etas), ("iov", kappas)):
        for effect, variance in variances.items():
            on = {p: r.loadings[effect] for p, r in parameters.items() if effect in r.loadings}
            bent = {p: r.bent[effect] for p, r in parameters.items() if effect in r.bent}
            if not (on or bent or effect in on_terms) or variance == 0.0:
                continue
            used.add(effect)
            yield from ("", f"[[{kind}]]", f'name = "{effect}"', f"value = {variance:.15g}")
            yield 'scale = "variance"'
            for shape, _, bounds in list(bent.values())[:1]:
                yield f'kind = "{shape}"'
                yield from [f"bounds = {inline(bounds)}"] if bounds else []
            on |= {p: loading for p, (_, loading, _) in bent.items()}
            yield from ([f"on = {inline(on)}"] if on else [])
            yield _SOURCE
    ours = {**source.etas, **source.kappas}
    for pair, covariance in source.covariances.items():
        first, second = (ours.get(name, "") for name in pair)
        both = source.variances.get(pair[0], 0.0) * source.variances.get(pair[1], 0.0)
        if {first, second} <= used and both > 0.0:
            table = "iov" if first.startswith("kappa_") else "iiv"
            yield from ("", f"[[{table}_correlations]]", f'between = ["{first}", "{second}"]')
            yield from (f"value = {covariance / math.sqrt(both):.15g}", _SOURCE)


def _texts(*keys: str) -> list[str]:
    return [f'{key} = "{TO_BE_FILLED}"' for key in keys]
