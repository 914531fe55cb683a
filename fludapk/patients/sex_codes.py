"""Codes of sex in a column, judged together: M is male beside F, and mujer beside H."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fludapk.errors import Fault
from fludapk.language import marked, tr
from fludapk.patients.header_words import plain

SEX_COLUMNS: Final = ("sex", "sexf", "sexm")
"""Fields that tell the sex; the last two are 1 for it and 0 for the other."""

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "female": (
        "female", "woman", "girl", "weiblich", "weibl.", "Frau", "Mädchen", "femme", "féminin",
        "fille", "mujer", "femenino", "mulher", "feminino", "femmina", "femminile", "donna",
        "vrouw", "vrouwelijk", "kvinna", "kvinde", "fem", "女", "女性",
    ),
    "male": (
        "male", "man", "boy", "männlich", "männl.", "Mann", "Junge", "homme", "masculin",
        "garçon", "hombre", "varón", "masculino", "homem", "maschio", "maschile", "uomo",
        "mannelijk", "masc", "男", "男性",
    ),
}  # fmt: skip
"""Words that mean one sex in every language that has them."""

_SEX_OF_WORD: Final = {plain(word): sex for sex, words in WORDS.items() for word in words}
_IBERIAN_HEADERS: Final = ("sexo", "genero")
_IBERIAN_WORDS: Final = ("hombre", "mujer", "homem", "mulher", "varon")
_DUTCH_HEADERS: Final = ("geslacht",)
_YES: Final = ("1", "true", "yes", "y")
_NO: Final = ("0", "false", "no", "n")
_OTHER_SEX: Final = {marked("female"): "male", marked("male"): "female"}


@dataclass(frozen=True)
class SexCodes:
    """Meaning of the codes of one column.

    Parameters
    ----------
    column : str
        Header of the column.
    kind : {'sex', 'sexf', 'sexm'}
    sexes : mapping of str to str
        Code, see `code_of` -> female or male.
    doubt : str
        Why further codes of a sex are not read, in English, or another code in a column of 1 and
        0; empty for words that nobody knows.
    """

    column: str
    kind: str
    sexes: Mapping[str, str]
    doubt: str = ""

    def sex_of(self, cell: str) -> str | Fault:
        """Return the sex that a cell tells, or why it is not read."""
        code = cell if cell in self.sexes else code_of(cell)
        sex = self.sexes.get(code)
        if sex is not None:
            return sex
        do = tr("say by {values} {column}:{code}=female or =male",
                column=self.column, code=cell.strip())  # fmt: skip
        if self.kind != "sex":
            yes = "female" if self.kind == "sexf" else "male"
            rule = tr("1 is {yes}, 0 is {no}", yes=tr(yes), no=tr(_OTHER_SEX[yes]))
            found = f"{self.kind.upper()} = {cell!r}: {rule}"
            if self.doubt:
                found += "; " + tr("the column also holds {code!r}", code=self.doubt)
            return Fault("sex", found, do=do, whole=True)
        if self.doubt:
            return Fault("sex", f"= {cell!r} {tr(self.doubt)}", do=do)
        if code.replace(".", "").isdigit():
            do = tr(
                "{do}; or write female or male, or call the column SEXF if 1 is female and 0 male",
                do=do,
            )
            found = tr("= {typed!r} is a code we do not know", typed=cell)
            return Fault("sex", found, do=do)
        return Fault("sex", f"= {cell!r}", do=tr("write female or male, or {do}", do=do))

    @property
    def is_coded(self) -> bool:
        """True if the cells are not the words female and male themselves."""
        return self.kind == "sex" and any(code != sex for code, sex in self.sexes.items())

    def words(self) -> str:
        """Codes and what they mean."""
        return ", ".join(f"{code} = {tr(sex)}" for code, sex in self.sexes.items())


def code_of(cell: str) -> str:
    """Return a code without capitals, and a number as a whole one.

    Examples
    --------
    >>> code_of("M."), code_of("1.0"), code_of("Männlich")
    ('m', '1', 'mannlich')
    """
    text = cell.strip()
    try:
        number = float(text)
    except ValueError:
        return plain(text)
    return f"{number:g}"


def sex_codes(column: str, kind: str, cells: Iterable[str]) -> SexCodes:
    """Understand the codes of a column.

    Parameters
    ----------
    column : str
        Its header.
    kind : {'sex', 'sexf', 'sexm'}
    cells : iterable of str
        All that are not empty.

    Examples
    --------
    >>> sex_codes("sex", "sex", ["M", "F"]).sexes == {"m": "male", "f": "female"}
    True
    >>> sex_codes("sexo", "sex", ["M", "H"]).sexes == {"m": "female", "h": "male"}
    True
    >>> sex_codes("sexo", "sex", ["M"]).sex_of("M").found
    "= 'M' may be masculino or mujer"
    """
    codes = dict.fromkeys(code_of(cell) for cell in cells)
    if kind != "sex":
        return _indicator(column, kind, list(codes))
    sexes = {code: _SEX_OF_WORD[code] for code in codes if code in _SEX_OF_WORD}
    letters = {code for code in codes if len(code) == 1 and code.isalpha()}
    header = plain(column).split("_")[0]
    iberian = header in _IBERIAN_HEADERS or any(word in codes for word in _IBERIAN_WORDS)
    by_letter, doubt = _letters(letters, iberian=iberian, dutch=header in _DUTCH_HEADERS)
    return SexCodes(column, kind, {**sexes, **by_letter}, doubt)


def _letters(letters: set[str], *, iberian: bool, dutch: bool) -> tuple[dict[str, str], str]:
    """Meaning of single letters among one another, or why some have none."""
    sure = {"f": "female", "h": "male", "w": "female", "k": "female"}
    sexes = {letter: sure[letter] for letter in sorted(letters) if letter in sure}
    if "n" in letters and "m" not in letters:
        sexes.pop("f", None)
        return sexes, marked("may be female, or férfi (male) beside nő")
    if "v" in letters:
        if iberian == dutch or {"f", "h", "w", "k"} & letters:
            return sexes, _VROUW_OR_VARON if "m" not in letters else _DUTCH_OR_SPANISH
        sexes["v"] = "female" if dutch else "male"
        if "m" in letters:
            sexes["m"] = _OTHER_SEX[sexes["v"]]
        return sexes, ""
    if "m" in letters:
        if "h" in letters:
            if {"f", "w", "k"} & letters:
                return sexes, marked("beside F and H may be male or mujer")
            sexes["m"] = "female"
        elif iberian and not {"f", "w", "k"} & letters:
            return sexes, marked("may be masculino or mujer")
        else:
            sexes["m"] = "male"
    return sexes, ""


_VROUW_OR_VARON: Final = marked("may be vrouw or varón")
_DUTCH_OR_SPANISH: Final = marked("may be Dutch (vrouw, man) or Spanish (varón, mujer)")


def _indicator(column: str, kind: str, codes: list[str]) -> SexCodes:
    """Codes of a column that is 1 for a sex and 0 for the other."""
    yes = "female" if kind == "sexf" else "male"
    others = [code for code in codes if code not in (*_YES, *_NO)]
    if others:
        return SexCodes(column, kind, {}, others[0])
    sexes = {code: yes if code in _YES else _OTHER_SEX[yes] for code in codes}
    return SexCodes(column, kind, sexes)
