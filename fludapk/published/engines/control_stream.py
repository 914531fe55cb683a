"""NONMEM control streams, in the dialects in which people write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from fludapk.published.engines.branches import fortran_condition, fortran_lines
from fludapk.published.engines.source import NUMBER, Source, covariances, number, uncommented

_COMPARTMENTS: Final = {"1": 1, "3": 2, "11": 3}
_RECORDS: Final = {
    "SUB": "SUBR", "PK": "PK", "PRED": "PRED", "ERR": "ERROR", "THE": "THETA", "OME": "OMEGA",
    "SIG": "SIGMA", "INP": "INPUT", "DES": "DES", "ABB": "ABBR",
}  # fmt: skip
"""First letters of a record -> its name."""
_ABBREVIATION: Final = r"((?:THETA|ETA|EPS)\(\w+\))\s*=\s*((?:THETA|ETA|EPS)\(\d+\))"


def read_control_stream(text: str) -> Source:
    """Read a control stream."""
    source, pk, error, des = Source("nonmem"), "", "", ""
    omega = _Omega(source)
    sigmas: list[tuple[list[float], bool]] = []
    replaced: dict[str, str] = {}
    for name, content in _records(text):
        if name == "SUBR":
            _subroutines(content, source)
        elif name in ("PK", "PRED"):
            pk += content
        elif name == "ERROR":
            error += content
        elif name == "DES":
            des += content
        elif name == "THETA":
            _thetas(content, source)
        elif name == "OMEGA":
            omega.record(content)
        elif name == "SIGMA":
            sigmas.append(_values(content))
        elif name == "INPUT":
            source.columns = {part.partition("=")[2] or part for part in content.split()} | {
                part.partition("=")[0] for part in content.split()
            }
        elif name == "ABBR":
            replaced |= dict(re.findall(_ABBREVIATION, content))
    python = _notation(replaced)
    source.statements = source.read_statements(fortran_lines(pk), python)
    source.error = source.read_statements(fortran_lines(error), python)
    _derivatives(des, python, source)
    variances = [x for values, _ in sigmas for x in values]
    source.sigmas = {f"EPS_{k}": x for k, x in enumerate(variances, start=1)}
    if any(is_block for _, is_block in sigmas):
        source.sigmas = {}
        source.unread.append("$SIGMA BLOCK")
    return source


def _records(text: str) -> Iterator[tuple[str, str]]:
    """Records of a control stream in capitals: name and content, without comments."""
    plain = uncommented(text, ";").upper()
    for part in re.split(r"^[ \t]*\$", plain, flags=re.MULTILINE)[1:]:
        name = part[: len(part) - len(part.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
        whole = next((r for k, r in _RECORDS.items() if name.startswith(k)), "")
        is_other = name.startswith(("THETAP", "THETAI", "OMEGAP", "SIGMAP", "DESI"))
        yield ("" if is_other else whole), part[len(name) :] + "\n"


def _notation(replaced: dict[str, str]) -> Callable[[str], str]:
    def python(expression: str) -> str:
        """Write an expression of a control stream in Python's notation."""
        for theirs, ours in replaced.items():
            expression = expression.replace(theirs, ours)
        numbered = re.sub(r"\b(THETA|ETA|EPS|ERR)\((\d+)\)",
                          lambda m: f"{m[1].replace('ERR', 'EPS')}_{m[2]}", expression)  # fmt: skip
        named = re.sub(r"\b(EXP|LOG10|LOG|SQRT|ABS)\s*\(", lambda m: f"{m[1].lower()}(", numbered)
        named = re.sub(r"\bD(EXP|LOG|SQRT)\s*\(", lambda m: f"{m[1].lower()}(", named)
        plain = re.sub(r"(?<![\w.])(\d+\.?\d*|\.\d+)D([-+]?\d+)", r"\1e\2", named)
        return fortran_condition(plain)

    return python


def _subroutines(content: str, source: Source) -> None:
    advan = re.search(r"ADVAN\s*=?\s*(\d+)", content)
    trans = re.search(r"TRANS\s*=?\s*(\d+)", content)
    source.compartments = _COMPARTMENTS.get(advan[1], 0) if advan else 0
    if not source.compartments or (trans and trans[1] not in ("1", "2", "4")):
        source.subroutines = f"$SUBROUTINES {' '.join(content.split())}"
        source.unread.append(source.subroutines)
        if advan and advan[1] in ("2", "4", "12"):  # there V2 is the central volume
            source.compartments = -1


def _derivatives(des: str, python: Callable[[str], str], source: Source) -> None:
    """Take differential equations; amounts are A(1), A(2)."""
    lines = []
    for line in fortran_lines(re.sub(r"\bA\s*\((\d+)\)", r"A_\1", des)):
        derivative = re.fullmatch(r"DADT\s*\((\d+)\)\s*=\s*(.+)", line)
        if derivative:
            source.derivatives[f"A_{derivative[1]}"] = python(derivative[2])
        else:
            lines.append(line)
    source.rates = source.read_statements(lines, python)
    if source.compartments == 0 and 1 <= len(source.derivatives) <= 3:
        source.compartments = len(source.derivatives)
        source.unread.remove(source.subroutines)


def _thetas(content: str, source: Source) -> None:
    """Take thetas: numbers, or (low, estimate, high), with FIX or as often as "x3" says."""
    pattern = (
        rf"(?:\w+\s*=\s*)?(?:\(([^()]*)\)\s*(FIX\w*)?(?:\s*X\s*(\d+))?|({NUMBER})\s*(FIX\w*)?)"
    )
    for match in re.finditer(pattern, content):
        inside = match[1] if match[1] is not None else match[4]
        plain = re.sub(r"\b(FIX\w*|UNINT\w*|STAN\w*)", " ", inside)
        parts = plain.split(",") if "," in plain else plain.split()
        text = parts[min(1, len(parts) - 1)].strip() if parts else ""
        for _ in range(min(int(match[3] or 1), 100)):
            name = f"THETA_{len(source.thetas) + 1}"
            if not re.fullmatch(NUMBER, text):
                source.unread.append(f"$THETA {match[0]}")
                source.thetas[name] = float("nan")  # it counts, but has no value
                continue
            source.thetas[name] = number(text)
            if match[2] or match[5] or "FIX" in inside:
                source.fixed.add(name)


def _values(content: str) -> tuple[list[float], bool]:
    """Variances of a record, some perhaps written as SDs, and if it is a block of several."""
    block = re.search(r"BLOCK\s*\((\d+)\)", content)
    rest = re.sub(r"(BLOCK|DIAG\w*)\s*\(\d+\)", " ", content)
    values: list[float] = []
    pattern = rf"\(([^()]*)\)(?:\s*X\s*(\d+))?|({NUMBER}(?:\s+[A-Z]+)*)"
    for match in re.finditer(pattern, rest):
        inside = match[1] if match[1] is not None else match[3]
        is_sd = re.search(r"\b(SD|STAN\w*)\b", inside) is not None
        for x in re.findall(rf"(?<![\w.]){NUMBER}(?![\w.])", inside) * min(int(match[2] or 1), 100):
            values += [number(x) ** 2 if is_sd else number(x)]
    return values, block is not None and int(block[1][:4]) > 1


class _Omega:
    """Etas, record after record."""

    def __init__(self, source: Source) -> None:
        self.source, self.etas, self.names = source, 0, [""][:0]

    def _next(self, count: int) -> list[str]:
        names = [f"ETA_{self.etas + k}" for k in range(1, count + 1)]
        self.etas += count
        return names

    def record(self, content: str) -> None:
        """Take a record: variances, a block, or the same block again."""
        block = re.search(r"BLOCK\s*(?:\((\d+)\))?", content)
        same = re.search(r"\bSAME\s*(?:\((\d+)\))?", content)
        if block and same:
            for _ in range(min(int(same[1] or 1), 100)):
                self.source.same.update(zip(self._next(len(self.names)), self.names, strict=True))
            return
        if block is None:
            numbers, _ = _values(content)
            self.names = self._next(len(numbers))
            self.source.add_variances(self.names, numbers)
            return
        plain = content[: block.start()] + content[block.end() :]
        numbers = [number(x) for x in re.findall(rf"(?<![\w.]){NUMBER}(?![\w.])", plain)]
        size = min(int((block[1] or "1")[:4]), max(len(numbers), 1))
        self.names = self._next(size)
        if re.search(r"\b(CHOL\w*|VALUES)\b", plain):
            self.source.unread.append(f"$OMEGA {' '.join(content.split())}")
            return
        is_sd = re.search(r"\b(SD|STAN\w*)\b", plain) is not None
        is_correlation = re.search(r"\bCORR\w*\b", plain) is not None
        triangle = covariances(numbers, is_sd=is_sd, is_correlation=is_correlation)
        self.source.add_block(self.names, triangle)
