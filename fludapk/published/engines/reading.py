"""Models of other engines, read into numbers and statements: NONMEM, mrgsolve, rxode2, nlmixr2."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from fludapk.errors import Fault, InputError

MOST_CHARACTERS: Final = 100_000


@dataclass
class Source:
    """A model as its text says it.

    Parameters
    ----------
    engine : str
    thetas : dict of str to float
        Name -> estimate.
    fixed : set of str
        Thetas that are not estimated.
    variances : dict of str to float
        Name of an eta -> its variance.
    same : dict of str to str
        Name of an eta -> the one whose variance it shares.
    covariances : dict of (str, str) to float
        Two etas -> their covariance.
    residual : dict of str to float
        proportional, additive or log -> SD.
    statements : list of (str, str)
        Name and expression in Python's notation, in order.
    compartments : int
    unread : list of str
        Lines that were not understood.
    """

    engine: str
    thetas: dict[str, float] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    variances: dict[str, float] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    covariances: dict[tuple[str, str], float] = field(default_factory=dict)
    residual: dict[str, float] = field(default_factory=dict)
    statements: list[tuple[str, str]] = field(default_factory=list)
    compartments: int = 0
    unread: list[str] = field(default_factory=list)

    def add_variances(self, names: list[str], numbers: list[float]) -> None:
        """Take the variance of each name."""
        if len(names) != len(numbers):
            self.unread.append(f"{len(numbers)} variances of {', '.join(names) or 'nothing'}")
            return
        for name, variance in zip(names, numbers, strict=True):
            self._add(name, variance)

    def add_residual(self, kind: str, variance: float) -> None:
        """Take the variance of a part of the residual error."""
        if 0.0 <= variance < math.inf:
            self.residual[kind] = variance**0.5
        else:
            self.unread.append(f"a variance of {variance:g} of the {kind} error")

    def _add(self, name: str, variance: float) -> None:
        if 0.0 <= variance < math.inf:
            self.variances[name] = variance
        else:
            self.unread.append(f"a variance of {variance:g} of {name}")

    def add_block(self, names: list[str], triangle: list[float]) -> None:
        """Take the lower triangle of a covariance, row after row."""
        if len(triangle) != len(names) * (len(names) + 1) // 2:
            self.unread.append(f"{len(triangle)} numbers of the covariance of {' + '.join(names)}")
            return
        numbers = iter(triangle)
        for i, name in enumerate(names):
            for other in names[:i]:
                covariance = next(numbers)
                if covariance:
                    self.covariances[other, name] = covariance
            self._add(name, next(numbers))


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
    >>> source.engine, source.thetas, source.variances, source.residual
    ('nonmem', {'THETA_1': 5.0}, {'ETA_1': 0.09}, {'proportional': 0.2})
    """
    if len(text) > MOST_CHARACTERS:
        found = f"has {len(text)} characters: a model has at most {MOST_CHARACTERS}"
        raise InputError(Fault("file", found))
    readers: dict[str, Callable[[str], Source]] = {
        r"^[ \t]*\$(PK|PRED)\b": _nonmem,
        r"\bini\(\{": _nlmixr2,
        r"\b(rxode2|RxODE)\(\{": _rxode2,
        r"^[ \t]*(\[[ \t]*|\$)(PARAM|MAIN)\b": _mrgsolve,
    }
    for pattern, read in readers.items():
        if re.search(pattern, text, re.MULTILINE):
            return read(text)
    found = "is no model of NONMEM ($PK), mrgsolve ([MAIN]), rxode2 (rxode2({) or nlmixr2 (ini({)"
    raise InputError(Fault("file", found))


NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?"


def _number(text: str) -> float:
    return float(re.sub("[dD]", "e", text))


def _uncommented(text: str, mark: str) -> str:
    return "\n".join(line.split(mark)[0].rstrip() for line in text.splitlines())


def _assignments(block: str, sign: str, source: Source) -> Iterator[tuple[str, str]]:
    """Name and expression of every statement; other lines are noted as unread."""
    for line in block.splitlines():
        statement = line.strip().rstrip(";").removeprefix("double ").strip()
        match = re.fullmatch(rf"([A-Za-z_.][\w.]*)\s*{sign}\s*(.+)", statement)
        if match:
            yield match[1], match[2].strip()
        elif statement:
            source.unread.append(statement)


# ------------------------------------------------------------------ NONMEM


def _records(text: str) -> list[tuple[str, str, str]]:
    """Records of a control stream: name, content, first comment."""
    records = []
    for part in re.split(r"^[ \t]*\$", text, flags=re.MULTILINE)[1:]:
        name, _, content = part.partition(" ") if " " in part.split("\n")[0] else (
            part.split("\n")[0], "", "\n".join(part.split("\n")[1:])
        )  # fmt: skip
        comment = re.search(r";\s*(.*)", content)
        records.append(
            (name.strip().upper(), _uncommented(content, ";"), comment[1] if comment else "")
        )
    return records


def _nonmem(text: str) -> Source:
    source, etas, block, error = Source("nonmem"), 0, 0, ""
    sigmas: list[float] = []
    before: list[str] = []
    for name, content, _ in _records(text):
        if name.startswith("SUB"):
            advan = re.search(r"ADVAN(\d+)", content)
            of_advan = {"1": 1, "3": 2, "11": 3}
            source.compartments = of_advan.get(advan[1], 0) if advan else 0
            if not source.compartments:
                source.unread.append(f"$SUBROUTINES {content.strip()}")
        elif name in ("PK", "PRED"):
            source.statements += [
                (key, _python(expression)) for key, expression in _assignments(content, "=", source)
            ]
        elif name == "ERROR":
            error = content
        elif name == "THETA":
            _thetas(content, source)
        elif name == "OMEGA":
            size = re.match(r"\s*BLOCK\s*\((\d+)\)", content)
            rest = content[size.end() :] if size else content
            numbers = [_number(x) for x in re.findall(NUMBER, rest)]
            if size and "SAME" in rest:
                names = [f"ETA_{etas + k}" for k in range(1, block + 1)]
                source.same.update(zip(names, before, strict=True))
                etas += block
                continue
            block = min(int(size[1][:4]), len(numbers)) if size else len(numbers)
            before = [f"ETA_{etas + k}" for k in range(1, block + 1)]
            if size:
                source.add_block(before, numbers)
            else:
                source.add_variances(before, numbers)
            etas += block
        elif name == "SIGMA":
            sigmas += [_number(x) for x in re.findall(NUMBER, content)]
    _residual_of(error, sigmas, source)
    return source


def _python(expression: str) -> str:
    """Write an expression of a control stream in Python's notation."""
    named = re.sub(r"\b(THETA|ETA)\((\d+)\)", r"\1_\2", expression)
    return re.sub(r"\b(EXP|LOG|SQRT)\(", lambda m: f"{m[1].lower()}(", named)


def _thetas(content: str, source: Source) -> None:
    """Take one or more thetas: numbers, or (low, estimate, high), with or without FIX."""
    for match in re.finditer(rf"\(([^()]*)\)\s*(FIX\w*)?|({NUMBER})\s*(FIX\w*)?", content):
        name = f"THETA_{len(source.thetas) + 1}"
        numbers = re.findall(NUMBER, match[1] or match[3])
        if not numbers:
            source.unread.append(f"$THETA {match[0]}")
            continue
        source.thetas[name] = _number(numbers[min(1, len(numbers) - 1)])
        if match[2] or match[4] or "FIX" in (match[1] or ""):
            source.fixed.add(name)


def _residual_of(error: str, sigmas: list[float], source: Source) -> None:
    """Tell the residual error from the statement of Y."""
    (y,) = re.findall(r"^[ \t]*Y\s*=\s*(.+)$", error, re.MULTILINE)[:1] or [""]
    kinds = {
        r"EXP\(\s*(EPS|ERR)\(1\)\s*\)": ("log",),
        r"\(1\s*\+\s*(EPS|ERR)\(1\)\s*\)\s*\+\s*(EPS|ERR)\(2\)": ("proportional", "additive"),
        r"\(1\s*\+\s*(EPS|ERR)\(1\)\s*\)": ("proportional",),
        r"^(F|IPRED)\s*\+\s*(F|IPRED)\s*\*\s*(EPS|ERR)\(1\)$": ("proportional",),
        r"^(F|IPRED)\s*\+\s*(EPS|ERR)\(1\)$": ("additive",),
    }
    for pattern, names in kinds.items():
        if re.search(pattern, y.strip()) and len(sigmas) >= len(names):
            for kind, variance in zip(names, sigmas, strict=False):
                source.add_residual(kind, variance)
            return
    source.unread.append(f"Y = {y.strip()}")


# ------------------------------------------------------------------ mrgsolve


def _mrgsolve(text: str) -> Source:
    source = Source("mrgsolve")
    for head, body in _blocks(_uncommented(text, "//")):
        name, numbers = head.split()[0], [_number(x) for x in re.findall(NUMBER, body)]
        labels = re.search(r"@labels\s+([^@]+)", head)
        names = labels[1].split() if labels else []
        if name == "PARAM" and "@input" not in head:
            for key, expression in _assignments(body.replace(",", "\n"), "=", source):
                if re.fullmatch(NUMBER, expression):
                    source.thetas[key] = _number(expression)
                else:
                    source.unread.append(f"{key} = {expression}")
        elif name == "CMT":
            source.compartments = len([x for x in head.split()[1:] + body.split() if x != "AUC"])
        elif name == "OMEGA":
            names = names or [f"ETA_{len(source.variances) + k + 1}" for k in range(len(numbers))]
            if "@block" in head:
                source.add_block(names, numbers)
            else:
                source.add_variances(names, numbers)
        elif name == "SIGMA":
            for kind, variance in zip(map(str.lower, names), numbers, strict=False):
                if kind in ("proportional", "additive", "log"):
                    source.add_residual(kind, variance)
        elif name in ("MAIN", "PK"):
            source.statements += [
                (key, re.sub(r"\bpow\(([^,()]+|\([^()]*\)), ([^()]+)\)", r"(\1)**(\2)", expression))
                for key, expression in _assignments(body, "=", source)
            ]
    return source


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
    source, plain = Source("rxode2"), _uncommented(text, "#")
    thetas = _between(plain, r"\btheta\s*<-\s*c\(", r"\)")
    for name, number in re.findall(rf"([\w.]+)\s*=\s*({NUMBER})", thetas):
        source.thetas[name] = _number(number)
    for line in _between(plain, r"\bomega\s*<-\s*lotri\(\{", r"\}\)").splitlines():
        _tilde(line, source)
    sigma = _between(plain, r"\bsigma\s*<-\s*lotri\(\{", r"\}\)")
    for kind, variance in re.findall(rf"\b(\w+)_error\s*~\s*({NUMBER})", sigma):
        source.add_residual(kind, _number(variance))
    _r_statements(_between(plain, r"(?:rxode2|RxODE)\(\{", r"\n\}\)"), source)
    return source


def _nlmixr2(text: str) -> Source:
    source, plain = Source("nlmixr2"), _uncommented(text, "#")
    for line in _between(plain, r"ini\(\{", r"\n[ \t]*\}\)").splitlines():
        estimate = re.fullmatch(rf"\s*([\w.]+)\s*(?:<-|=)\s*(?:(fix\w*)\()?({NUMBER})\)?\s*", line)
        if estimate and estimate[1].rpartition("_")[0] in ("proportional", "additive", "log"):
            source.residual[estimate[1].rpartition("_")[0]] = _number(estimate[3])
        elif estimate:
            source.thetas[estimate[1]] = _number(estimate[3])
            if estimate[2]:
                source.fixed.add(estimate[1])
        else:
            _tilde(line, source)
    _r_statements(_between(plain, r"model\(\{", r"\n[ \t]*\}\)"), source)
    return source


def _between(text: str, start: str, end: str) -> str:
    """Text between the first start and the next end, in linear time; empty without one of them."""
    begun = re.search(start, text)
    ended = begun and re.compile(end).search(text, begun.end())
    return text[begun.end() : ended.start()] if begun and ended else ""


def _tilde(line: str, source: Source) -> None:
    """Take a line "a ~ 0.1" or "a + b ~ c(0.1, 0.05, 0.2)"."""
    left, tilde, right = line.partition("~")
    if tilde:
        source.add_block(
            [name.strip() for name in left.split("+")],
            [_number(x) for x in re.findall(NUMBER, right)],
        )
    elif line.strip():
        source.unread.append(line.strip())


def _r_statements(body: str, source: Source) -> None:
    amounts, lines = [], []
    for line in body.splitlines():
        derivative = re.match(r"\s*d/dt\((\w+)\)", line)
        if derivative:
            amounts.append(derivative[1].lower())
        elif not re.match(r"\s*cp\s*(<-|=|~)", line):
            lines.append(line)
    source.compartments = len([name for name in amounts if name != "auc"])
    source.statements += [
        (name, expression.replace("^", "**"))
        for name, expression in _assignments("\n".join(lines), "(?:<-|=)", source)
    ]
