"""Models of other engines, read into numbers and statements: NONMEM, mrgsolve, rxode2, nlmixr2."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

from fludapk.errors import Fault, InputError
from fludapk.published.engines.branches import braced_lines
from fludapk.published.engines.control_stream import read_control_stream
from fludapk.published.engines.dictionary import words_in
from fludapk.published.engines.parts import COVARIATES
from fludapk.published.engines.source import (
    NUMBER,
    Source,
    covariances,
    named,
    number,
    rows_of,
    uncommented,
)

MOST_CHARACTERS: Final = 100_000


def read_source(text: str) -> Source:
    r"""Read the text of a model of another engine.

    Raises
    ------
    InputError
        If the engine is not recognised.

    Examples
    --------
    >>> source = read_source("$SUBROUTINES ADVAN1 TRANS2\n$PK\nCL = THETA(1)*EXP(ETA(1))\n"
    ...                      "$ERROR\nY = F*(1 + EPS(1))\n$THETA 5\n$OMEGA 0.09\n$SIGMA 0.04")
    >>> source.engine, source.thetas, source.variances, source.sigmas
    ('nonmem', {'THETA_1': 5.0}, {'ETA_1': 0.09}, {'EPS_1': 0.04})
    """
    if len(text) > MOST_CHARACTERS:
        found = f"has {len(text)} characters: a model has at most {MOST_CHARACTERS}"
        raise InputError(Fault("file", found))
    readers: dict[str, Callable[[str], Source]] = {
        r"^[ \t]*(\[[ \t]*|\$)(MAIN|PARAM|CMT|PKMODEL)\b": _mrgsolve,
        r"^[ \t]*\$(?i:PK|PRED)\b": read_control_stream,
        r"\bini\(\s{0,9}\{": _nlmixr2,
        r"\b(rxode2|RxODE|rxode)\(\s{0,9}\{": _rxode2,
    }
    for pattern, read in readers.items():
        if re.search(pattern, text, re.MULTILINE):
            source = read(text)
            source.file = words_in(text)
            return source
    found = "is no model of NONMEM ($PK), mrgsolve ([MAIN]), rxode2 (rxode2({) or nlmixr2 (ini({)"
    raise InputError(Fault("file", found))


_COMPARED: Final = (("&&", " and "), ("||", " or "), ("&", " and "), ("|", " or "))


def _of_c(expression: str) -> str:
    """Write an expression of C or R in Python's notation."""
    for theirs, ours in _COMPARED:
        expression = expression.replace(theirs, ours)
    plain = re.sub(r"!(?!=)", " not ", expression.replace("^", "**"))
    chosen = re.fullmatch(r"([^?]+)\?([^:?]+):([^:?]+)", plain)  # a ? b : c
    if chosen:
        plain = f"({chosen[2]}) if ({chosen[1]}) else ({chosen[3]})"
    plain = re.sub(r"\bifelse\s*\(", "ifelse(", plain)
    return named(re.sub(r"\b(ETA|THETA|EPS)\((\d+)\)", r"\1_\2", plain))


# ------------------------------------------------------------------ mrgsolve


def _mrgsolve(text: str) -> Source:
    source, epsilons = Source("mrgsolve"), 0
    plain = re.sub(r"/\*.*?\*/", "", uncommented(text, "//"), flags=re.DOTALL)
    for head, body in _blocks(plain):
        name = re.split(r"\W", head)[0]
        if "@labels" not in head and name in ("OMEGA", "SIGMA", "THETA"):
            body = re.sub(r"@name\s+\w+|@\w+", "", head[len(name) :]) + "\n" + body
        labels = re.search(r"@labels\s+([^@]+)", head)
        names = labels[1].split() if labels else []
        if name in ("PARAM", "INPUT", "THETA"):
            is_data = name == "INPUT" or "@input" in head or "@covariates" in head
            _parameters(name, head, body, source, is_data=is_data)
        elif name == "CMT":
            words = re.findall(r"\b[A-Za-z]\w*", re.sub(r"@\w+|:.*", "", f"{head[3:]}\n{body}"))
            source.compartments = len([word for word in words if word != "AUC"])
        elif name == "PKMODEL":
            _pkmodel(head + " " + body, source)
        elif name == "OMEGA":
            numbers = _annotated(body, names, is_annotated="@annotated" in head)
            names = names or [f"ETA_{len(source.variances) + k + 1}" for k in range(
                rows_of(numbers) if re.search(r"@block|@cor", head) else len(numbers))]  # fmt: skip
            is_correlation = re.search(r"@cor", head) is not None
            if "@block" in head or is_correlation:
                source.add_block(names, covariances(numbers, is_correlation=is_correlation))
            else:
                source.add_variances(names, numbers)
        elif name == "SIGMA":
            numbers = _annotated(body, names, is_annotated="@annotated" in head)
            for k, variance in enumerate(numbers):
                epsilons += 1
                source.sigmas[names[k] if k < len(names) else f"EPS_{epsilons}"] = variance
        elif name in ("MAIN", "PK", "PRED"):
            source.statements += source.read_statements(_declared(body), _of_c)
        elif name in ("TABLE", "ERROR"):
            source.error += source.read_statements(_declared(body), _of_c)
        elif name in ("ODE", "DES"):
            source.derivatives = dict(re.findall(r"dxdt_(\w+)\s*=\s*([^;]+);", body))
            others = [line for line in _declared(body) if not line.startswith("dxdt_")]
            source.rates = source.read_statements(others, _of_c)
    for covariate in [name for name in source.thetas if name.upper() in COVARIATES]:
        del source.thetas[covariate]
        source.columns = (source.columns or set()) | {covariate}
    source.columns = source.columns or set()
    if "Y" in dict(source.error):
        source.error.append(("DV", "Y"))
    return source


def _declared(body: str) -> list[str]:
    types = r"(?:capture|double|const|self|bool|int)\b"
    return [re.sub(rf"^{types}\s+", "", line) for line in braced_lines(body)]


def _parameters(name: str, head: str, body: str, source: Source, *, is_data: bool) -> None:
    """Take the values of a block: thetas, or columns of the data."""
    if name == "THETA":
        for text in re.findall(NUMBER, re.sub(r":[^\n]*", "", body)):
            source.thetas[f"THETA_{len(source.thetas) + 1}"] = number(text)
        return
    sign = ":" if "@annotated" in head else "="
    for line in f"{head.partition(' ')[2] if '=' in head else ''}\n{body}".replace(
        ",", "\n"
    ).splitlines():
        key, _, rest = (part.strip() for part in line.partition(sign))
        if is_data and key:
            source.columns = (source.columns or set()) | {key}
        elif re.fullmatch(NUMBER, rest.split(":")[0].strip() if sign == ":" else rest):
            source.thetas[key] = number(rest.split(":")[0].strip())
        elif line.strip():
            source.unread.append(line.strip())


def _annotated(body: str, names: list[str], *, is_annotated: bool) -> list[float]:
    """Numbers of a matrix, and the names that its lines give them."""
    if not is_annotated:
        return [number(x) for x in re.findall(NUMBER, body)]
    numbers: list[float] = []
    for line in body.splitlines():
        parts = line.split(":")
        if len(parts) > 1:
            names.append(parts[0].strip())
            numbers += [number(x) for x in re.findall(NUMBER, parts[1])]
    return numbers


def _pkmodel(words: str, source: Source) -> None:
    cmt = re.search(r"cmt\s*=\s*\"([^\"]+)\"", words)
    ncmt = re.search(r"ncmt\s*=\s*(\d)", words)
    source.compartments = (
        len(re.split(r"[\s,]+", cmt[1].strip())) if cmt else int(ncmt[1]) if ncmt else 0
    )
    if re.search(r"depot\s*=\s*(TRUE|T|true)\b", words) or not source.compartments:
        source.compartments = 0
        source.unread.append(f"PKMODEL {words.strip()}")


def _blocks(text: str) -> list[tuple[str, str]]:
    """Blocks of a specification: head without marks, and body; comments with # are left out."""
    blocks: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        head = re.match(r"\s*(?:\[\s*(\w+)\s*\]|\$(\w+))(.*)", line)
        if head:
            blocks.append((f"{(head[1] or head[2]).upper()}{head[3]}", []))
        elif blocks and not line.lstrip().startswith("#"):
            blocks[-1][1].append(line)
    return [(head, "\n".join(lines)) for head, lines in blocks]


# ------------------------------------------------------------------ rxode2 and nlmixr2


def _rxode2(text: str) -> Source:
    source, plain = Source("rxode2"), uncommented(text, "#")
    thetas = _between(plain, r"\b(?:theta|params?)\s*<-\s*c\(", r"\)")
    for name, value in re.findall(rf"([\w.]+)\s*=\s*({NUMBER})", thetas):
        source.thetas[named(name)] = number(value)
    for line in _whole(_between(plain, r"\bomega\s*<-\s*lotri\(\{", r"\}\)")):
        _tilde(line, source)
    sigma = _between(plain, r"\bsigma\s*<-\s*lotri\(\{", r"\}\)")
    for kind, variance in re.findall(rf"\b(\w+)_error\s*~\s*({NUMBER})", sigma):
        source.residual[kind] = number(variance) ** 0.5
    source.adds_sds = re.search(r"^sigma\b.*they add as SDs", text, re.MULTILINE) is not None
    _r_statements(
        _between(plain, r"(?:rxode2|RxODE|rxode)\(\s{0,9}\{", r"\n[ \t]*\}\s{0,9}\)"), source
    )
    return source


def _nlmixr2(text: str) -> Source:
    source, plain = Source("nlmixr2"), uncommented(text, "#")
    value = rf"(?:fix\w*\()?\s*(?:c\(((?:[^()]|\([^()]*\))*)\)|(log\(\s*)?({NUMBER})\)?)\s*\)?"
    ini = re.sub(
        r"\blabel\([^()\n]*(\([^()\n]*\))?[^()\n]*\)",
        "",
        _between(plain, r"ini\(\s{0,9}\{", r"\n[ \t]*\}\)"),
    )
    for line in _whole(ini.replace(";", "\n")):
        line = re.sub(r"log\(\s*c\(([^()]*)\)\s*\)", _logs, line)
        estimate = re.fullmatch(rf"\s*([\w.]+)\s*(?:<-|=)\s*{value}\s*", line)
        if not estimate:
            _tilde(line, source)
            continue
        bounds = (estimate[2] or estimate[4]).split(",")
        is_fixed = "fix" in line.partition("<-")[2] + line.partition("=")[2]
        numbers = [b.strip() for b in bounds if "fix" not in b]
        text_of = numbers[min(1, len(numbers) - 1)] if numbers else ""
        logged = re.fullmatch(rf"log\(({NUMBER})\)", text_of)
        if logged or re.fullmatch(NUMBER, text_of):
            theta = number(logged[1] if logged else text_of)
            source.thetas[named(estimate[1])] = _log(theta) if logged or estimate[3] else theta
        else:
            source.list_unread(line.strip())
        if is_fixed:
            source.fixed.add(named(estimate[1]))
    _r_statements(_between(plain, r"model\(\s{0,9}\{", r"\n[ \t]*\}\)"), source)
    return source


def _whole(text: str) -> list[str]:
    """Lines of R, joined where a parenthesis is open."""
    lines = [""]
    for line in text.splitlines():
        lines[-1] += f" {line.strip()}"
        if lines[-1].count("(") <= lines[-1].count(")"):
            lines[-1] = lines[-1].strip()
            lines.append("")
    return [line for line in lines if line.strip()]


def _logs(match: re.Match[str]) -> str:
    """Write log(c(0, 2.7, 100)) as the logarithms of its numbers."""
    parts = (part.strip() for part in match[1].split(","))
    return f"c({', '.join(f'log({part})' for part in parts)})"


def _log(x: float) -> float:
    return math.log(x) if x > 0.0 else math.nan


def _between(text: str, start: str, end: str) -> str:
    """Text between the first start and the next end, in linear time; empty without one of them."""
    begun = re.search(start, text)
    ended = begun and re.compile(end).search(text, begun.end())
    return text[begun.end() : ended.start()] if begun and ended else ""


def _tilde(line: str, source: Source) -> None:
    """Take a line "a ~ 0.1" or "a + b ~ c(0.1, 0.05, 0.2)"."""
    left, tilde, right = line.partition("~")
    if tilde and not re.search(r"\b(cor|sd|chol|var)\b", right):
        source.add_block(
            [named(name.strip()) for name in left.split("+")],
            [number(x) for x in re.findall(NUMBER, right)],
        )
    elif line.strip():
        source.list_unread(line.strip())


def _r_statements(body: str, source: Source) -> None:
    """Take the statements of a model in R: equations, derivatives, residual error."""
    lines = []
    for line in braced_lines(body):
        derivative = re.match(r"d/dt\((\w+)\)\s*(?:<-|=)\s*(.+)", line)
        if derivative:
            source.derivatives[derivative[1]] = derivative[2]
        elif "~" in line:
            _r_error(line, source)
        elif re.match(r"[\w.]+\s*(<-|=)\s*linCmt\(", line) or re.fullmatch(r"linCmt\(.*\)", line):
            source.compartments = -2  # as many as there are volumes
        else:
            lines.append(line)
    amounts = [name for name in source.derivatives if name.lower() != "auc"]
    source.compartments = len(amounts) or source.compartments
    source.statements += source.read_statements(lines, _of_c)
    if source.compartments == -2:
        source.compartments = 0
        source.closed_form = True


def _r_error(line: str, source: Source) -> None:
    """Take "cp ~ prop(a) + add(b) + combined1()", with SDs of ini."""
    source.adds_sds = source.adds_sds or "combined1" in line
    if re.match(r"linCmt\(", line):
        source.closed_form = True
    for function, name in re.findall(r"(\w+)\(\s*([\w.]*)\s*\)", line.partition("~")[2]):
        kind = {"prop": "proportional", "add": "additive", "lnorm": "log"}.get(function)
        sd = source.thetas.pop(named(name), None)
        if kind and sd is not None:
            source.residual[kind] = sd
        elif function not in ("combined1", "combined2"):
            source.unread.append(line)
