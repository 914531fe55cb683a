"""A language in brackets: what is outside of them no catalog can translate."""

import re
from functools import cache
from gettext import NullTranslations

from make_catalogs import messages


@cache
def catalogued() -> frozenset[str | tuple[str, str]]:
    """Messages of the catalogs."""
    return frozenset(messages())


class Brackets(NullTranslations):
    """A language in which every message of the catalogs is the English one in brackets."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧" if message in catalogued() else message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        text = msgid1 if n == 1 else msgid2
        return f"⟦{text}⟧" if (msgid1, msgid2) in catalogued() else text


def without_brackets(text: str, instead: str = "") -> str:
    """Leave out what is in brackets, also in brackets within others."""
    while text != (outer := re.sub(r"⟦[^⟦⟧]*⟧", instead, text)):
        text = outer
    return text
