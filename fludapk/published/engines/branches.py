"""Statements with branches, of Fortran, C and R, as conditional expressions one after another."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from fludapk.published.engines.algebra import NOTHING

_COMPARED: Final = {"EQ": "==", "NE": "!=", "GT": ">", "GE": ">=", "LT": "<", "LE": "<=",
                    "AND": " and ", "OR": " or ", "NOT": " not "}  # fmt: skip
_ASSIGNED: Final = re.compile(r"([A-Za-z_][\w.]*)\s*(?:<-|=(?!=))\s*(.+)")


@dataclass
class _Branch:
    earlier: list[str] = field(default_factory=list)
    now: str = ""

    @property
    def condition(self) -> str:
        return " and ".join(
            [*(f"not ({c})" for c in self.earlier), *([f"({self.now})"] if self.now else [])]
        )


def statements(lines: list[str], python: Callable[[str], str]) -> Iterator[tuple[str, str] | str]:
    """Read statements: name and expression, or the line that is none.

    Parameters
    ----------
    lines : list of str
        One statement, IF, ELSE or end of a branch each; see `fortran_lines` and `braced_lines`.
    python : callable
        Writes an expression or a condition in Python's notation.

    Examples
    --------
    >>> list(statements(["IF (SEX == 1) THEN", "F = 2", "ELSE", "F = 3", "END"], str))
    [('F', '(2) if (SEX == 1) else (__nothing__)'), ('F', '(3) if not (SEX == 1) else (F)')]
    """
    open_branches: list[_Branch] = []
    given: set[str] = set()
    for line in lines:
        branch = re.fullmatch(r"(ELSE)?\s*(IF)?\s*(\(.*\))?\s*(THEN)?", line, re.I)
        if re.fullmatch(r"END\s?(IF)?", line, re.I):
            if open_branches:
                open_branches.pop()
            continue
        if branch and branch[1] and open_branches:
            open_branches[-1].earlier.append(open_branches[-1].now)
            open_branches[-1].now = python(branch[3][1:-1]) if branch[3] else ""
            continue
        if branch and branch[2] and branch[4] and branch[3]:
            open_branches.append(_Branch(now=python(branch[3][1:-1])))
            continue
        condition, statement = _one_line(line)
        assigned = _ASSIGNED.fullmatch(statement)
        if not assigned:
            yield line
            continue
        conditions = [b.condition for b in open_branches if b.condition]
        conditions += [f"({python(condition)})"] if condition else []
        name, expression = assigned[1], python(assigned[2])
        if conditions:
            before = name if name in given else NOTHING
            expression = f"({expression}) if {' and '.join(conditions)} else ({before})"
        given.add(name)
        yield name, expression


def _one_line(line: str) -> tuple[str, str]:
    """Part "IF (condition) statement"; no condition if it is none."""
    if not re.match(r"IF\s*\(", line, re.I):
        return "", line
    depth, start = 0, line.index("(")
    for k in range(start, len(line)):
        depth += (line[k] == "(") - (line[k] == ")")
        if depth == 0:
            return line[start + 1 : k], line[k + 1 :].strip()
    return "", line


def fortran_condition(text: str) -> str:
    """Write comparisons such as .EQ. and == alike.

    Examples
    --------
    >>> fortran_condition("SEX.EQ.1.AND.AGE.GE.65")
    'SEX==1 and AGE>=65'
    """
    return re.sub(r"\s*\.(EQ|NE|GT|GE|LT|LE|AND|OR|NOT)\.\s*", lambda m: _COMPARED[m[1].upper()],
                  text, flags=re.I).replace("/=", "!=")  # fmt: skip


def fortran_lines(text: str) -> list[str]:
    """Part a block of abbreviated code into statements; "&" continues a line."""
    joined = re.sub(r"&[ \t]*\n", " ", text)
    return [line.strip() for line in joined.splitlines() if line.strip()]


def braced_lines(text: str) -> list[str]:
    """Part a block of C or R into statements, with branches as `statements` reads them."""
    plain = re.sub(r"[{}]", lambda m: f"\n{m[0]}\n", text.replace(";", "\n"))
    lines: list[str] = []
    for line in (line.strip() for line in plain.splitlines()):
        if line == "{" and lines and re.match(r"(else\s+)?if\b|else\b", lines[-1]):
            lines[-1] += " THEN" if "if" in lines[-1] else ""
        elif line.startswith("else") and lines and lines[-1] == "END":
            lines[-1] = line
        elif line == "}":
            lines.append("END")
        elif line and line != "{":
            lines.append(line)
    return lines
