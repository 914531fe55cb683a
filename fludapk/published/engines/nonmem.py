"""A model as a NONMEM control stream."""

from __future__ import annotations

from typing import Final

from fludapk.published.engines.statements import StarPower, Statements, lower_triangle

RECORD: Final = ("ID", "TIME", "EVID", "AMT", "RATE", "CMT", "MDV", "DV")
_ADVAN: Final = {1: "ADVAN1 TRANS2", 2: "ADVAN3 TRANS4", 3: "ADVAN11 TRANS4"}
_RENAMED: Final = {1: [("V", "V1")], 2: [("Q", "Q2")], 3: []}
"""Names that NONMEM has for our flows and volumes."""


def code(model: Statements) -> str:
    """Write a control stream."""
    compartments = model.model.program.compartments
    columns = [*RECORD, *(column.name for column in model.columns), *model.occasion_columns]
    lines = [
        f"$PROBLEM {model.model.id}",
        *_wrapped("$INPUT", columns),
        f"$DATA {model.model.id}.csv IGNORE=@",
        f"$SUBROUTINES {_ADVAN[compartments]}",
        "$PK",
        *(f"{name} = THETA({k})" for k, name in enumerate(model.thetas, start=1)),
        *_effects(model),
        *(f"{name} = {what}" for name, what in model.kappa_definitions()),
        *(
            f"{name} = {what}"
            for name, what in model.parameter_definitions(StarPower(model.model.file), "EXP")
        ),
        *(f"{theirs} = {ours}" for theirs, ours in _RENAMED[compartments]),
        "S1 = V1",
        "$ERROR",
        "IPRED = F",
        f"Y = {_error(model)}",
        *(
            f"$THETA {value:.15g}{' FIX' if name in model.fixed else ''} ; {name}"
            for name, value in model.thetas.items()
        ),
        *_omega(model),
        *_sigma(model),
        "$ESTIMATION METHOD=1 INTER MAXEVAL=0",
        f"$TABLE ID TIME IPRED CL V1 NOAPPEND NOPRINT ONEHEADER FILE={model.model.id}.tab",
    ]
    return model.header(";") + "\n".join(lines) + "\n"


def _wrapped(record: str, words: list[str]) -> list[str]:
    """Write a record on lines that are short enough for NONMEM."""
    return [" ".join([record, *words[:8]]), *(
        " ".join(["", *words[k : k + 8]]) for k in range(8, len(words), 8)
    )]  # fmt: skip


def _effects(model: Statements) -> list[str]:
    """Name the etas; those of occasions follow, kappa by kappa or in blocks."""
    lines = [f"{name} = ETA({k})" for k, name in enumerate(model.etas, start=1)]
    number = len(lines)
    for name in _names_of_kappas(model):
        number += 1
        lines.append(f"{name} = ETA({number})")
    return lines


def _names_of_kappas(model: Statements) -> list[str]:
    occasions = range(1, model.occasions + 1)
    if model.correlated_occasions:
        return [name for k in occasions for name in model.kappas_of(k)]
    return [f"{name}_{k}" for name in model.kappas for k in occasions]


def _omega(model: Statements) -> list[str]:
    omega, iov, later = model.omega, model.omega_iov, model.occasions - 1
    if model.correlated:
        lines = [f"$OMEGA BLOCK({len(omega)}) {lower_triangle(omega)} ; {' '.join(model.etas)}"]
    else:
        lines = [f"$OMEGA {omega[k, k]:.15g} ; {name}" for k, name in enumerate(model.etas)]
    if model.correlated_occasions:
        size = len(iov)
        lines.append(f"$OMEGA BLOCK({size}) {lower_triangle(iov)} ; {' '.join(model.kappas)}")
        return [*lines, *[f"$OMEGA BLOCK({size}) SAME"] * later]
    for k, name in enumerate(model.kappas):
        lines += [f"$OMEGA BLOCK(1) {iov[k, k]:.15g} ; {name}", *["$OMEGA BLOCK(1) SAME"] * later]
    return lines


def _sigma(model: Statements) -> list[str]:
    if model.adds_sds:
        return ["$SIGMA 1 FIX ; proportional and additive"]
    return [f"$SIGMA {sd**2:.15g} ; {kind}" for kind, sd in model.residual.items()]


def _error(model: Statements) -> str:
    kinds = list(model.residual)
    if model.adds_sds:
        proportional, additive = model.residual.values()
        return f"IPRED + ({proportional:.15g}*IPRED + {additive:.15g})*EPS(1)"
    if kinds == ["log"]:
        return "IPRED*EXP(EPS(1))"
    if kinds == ["additive"]:
        return "IPRED + EPS(1)"
    return "IPRED*(1 + EPS(1))" + (" + EPS(2)" if "additive" in kinds else "")
