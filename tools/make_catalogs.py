"""Bring the catalogs of the languages up to date with the texts in the code.

Run ``python tools/make_catalogs.py`` after a text that is shown has changed: new messages come
without a translation, and `tests/test_languages.py` fails until they have one.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fludapk.language import LANGUAGES, SOURCE  # noqa: E402

PACKAGE: Final = ROOT / "fludapk"
CATALOGS: Final = PACKAGE / "catalogs"
KEYWORDS: Final[dict[str, Any]] = {
    "tr": None, "marked": None, "ntr": (1, 2), "_": None, "gettext": None, "ngettext": (1, 2),
}  # fmt: skip
JINJA: Final = {"trimmed": "true", "silent": "false", "trim_blocks": "true"}
TABLES: Final[dict[str, tuple[str, ...]]] = {
    "models/*.toml": ("title", "dose.evidence", "population.who", "departures.*.shown"),
    "fludapk/data/regimens.toml": (
        *("regimens.*.title", "regimens.*.who", "regimens.*.cells"),
        *("regimens.*.unsettled", "regimens.*.warning"),
        *("label_rules.*.title", "label_rules.*.steps.*.advice", "label_rules.*.source"),
        "practices.*.title",
    ),
    "fludapk/data/targets.toml": (
        *("targets.*.title", "targets.*.derived_with_doubt"),
        *("targets.*.context", "targets.*.finding"),
    ),
    "fludapk/data/outcomes.toml": (
        *("outcomes.*.event", "outcomes.*.competing", "outcomes.*.who", "outcomes.*.auc_by"),
        *("outcomes.*.caveats.*", "outcomes.*.printed_ratio"),
        *("outcomes.*.incidence.source", "outcomes.*.group_incidences.*.source"),
    ),
    "fludapk/data/populations.toml": ("populations.*.title",),
}
"""Glob of shipped TOML files -> keys whose texts are shown, as ``"population.who"``."""


PLURAL: Final = {"fr": "n > 1"}
"""When a language takes the second form, if not for every number but one."""


def messages() -> Iterator[str | tuple[str, str]]:
    """Yield every text that is shown, in the order of the files."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield from _of_python(ast.parse(path.read_text("utf-8")))
    for path in sorted(PACKAGE.rglob("templates/*.html")):
        yield from _of_template(path)
    for pattern, keys in TABLES.items():
        for path in sorted(ROOT.glob(pattern)):
            table = tomllib.loads(path.read_text("utf-8"))
            for key in keys:
                yield from _texts(table, key.split("."))


def _of_python(node: ast.AST) -> Iterator[str | tuple[str, str]]:
    """Yield the messages of a tree; Babel misses those inside of f-strings, in some Pythons."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        constants = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        texts = [text for text in constants if isinstance(text, str)]
        if node.func.id in ("tr", "marked") and texts:
            yield texts[0]
        elif node.func.id == "ntr" and len(texts) > 1:
            yield texts[0], texts[1]
    for child in ast.iter_child_nodes(node):
        yield from _of_python(child)


def _of_template(path: Path) -> Iterator[str | tuple[str, str]]:
    with path.open("rb") as file:
        for _, message, _, _ in extract("jinja2.ext:babel_extract", file, KEYWORDS, (), JINJA):
            yield message if isinstance(message, str) else (message[0], message[1])


def _texts(table: Any, keys: list[str]) -> Iterator[str]:
    """Yield the texts under a dotted key; ``*`` stands for every key or item."""
    if not keys:
        if isinstance(table, str) and table:
            yield table
        return
    inside = list(table.values()) if isinstance(table, dict) else list(table or ())
    chosen = inside if keys[0] == "*" else [table.get(keys[0])]
    for value in chosen:
        if value is not None:
            yield from _texts(value, keys[1:])


def updated(code: str) -> bytes:
    """Return a catalog with every message, and no other; translations are kept."""
    path = CATALOGS / f"{code}.po"
    old = read_po(BytesIO(path.read_bytes()), locale=code) if path.exists() else Catalog(code)
    head = "\n".join([
        f"# {LANGUAGES[code]}. Whoever reviews it as a clinician signs below: name, date.",
        'msgid ""',
        'msgstr ""',
        f'"Language: {code}\\n"',
        f'"Plural-Forms: nplurals=2; plural=({PLURAL.get(code, "n != 1")});\\n"',
        '"Content-Type: text/plain; charset=utf-8\\n"',
        f'"X-Reviewed-By: {dict(old.mime_headers).get("X-Reviewed-By", "")}\\n"',
        "", "",
    ])  # fmt: skip
    new = read_po(BytesIO(head.encode()), locale=code)
    for message in dict.fromkeys(messages()):
        before = old.get(message)
        new.add(message, before.string if before is not None else "")
    written = BytesIO()
    write_po(written, new, width=100, no_location=True, omit_header=True)
    return head.encode() + written.getvalue()


def main() -> None:
    """Write the catalogs, and say how many messages lack a translation."""
    for code in LANGUAGES:
        if code != SOURCE:
            text = updated(code)
            (CATALOGS / f"{code}.po").write_bytes(text)
            read = [message for message in read_po(BytesIO(text), locale=code) if message.id]
            missing = [m for m in read if not (all(m.string or ()) if m.pluralizable else m.string)]
            print(f"{code}: {len(read)} messages, {len(missing)} without a translation")


if __name__ == "__main__":
    main()
