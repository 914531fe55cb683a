"""Drug that an order is for.

Read from the resources as they were sent, so that an order of fludarabine that cannot be read is
still seen to be one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from fludapk.web.cds.bundles import Library, objects
from fludapk.web.cds.codes import (
    ATC,
    FLUDARABINE_ATC,
    FLUDARABINE_NAME,
    FLUDARABINE_ORAL_RXNORM,
    FLUDARABINE_RXNORM,
    FLUDARABINE_UNII,
    ORAL_NAME,
    RXNORM,
    UNII,
)
from fludapk.web.cds.resources import Raw

ORDER: Final = "MedicationRequest"
_NARRATIVE: Final = frozenset({"div", "contained", "extension", "meta", "identifier"})
_WORDS: Final = frozenset({"text", "display", "name", "title", "valueString"})
_DILUENT: Final = ("sodium chloride", "nacl", "saline", "glucose", "dextrose", "water", "chlorure")


class Drug(NamedTuple):
    """The drug of an order."""

    kind: Literal["fludarabine", "other", "unknown"]
    """Unknown: nothing that was sent tells it."""
    is_oral: bool = False
    words: tuple[str, ...] = ()
    """Names it was given."""
    mixed_with: tuple[str, ...] = ()
    """Other drugs in the same product."""
    doubt: str = ""
    """Contradiction between its code and its name."""
    is_named: bool = True
    """True if a name says so, not only a code."""


def drug_of(order: Raw, library: Library) -> Drug:
    """Find out which drug an order is for.

    Parameters
    ----------
    order : dict
        A MedicationRequest as it was sent.
    library : Library
        For medications it refers to.

    Examples
    --------
    >>> order = {"medicationCodeableConcept": {"text": "Fludara 50 mg"}}
    >>> drug_of(order, Library(patient_id="p1")).kind
    'fludarabine'
    """
    parts = list(_parts(order, library, set()))
    codes = {pair for part in parts for pair in _codes(part)}
    words = tuple(dict.fromkeys(text for part in parts for text in _words(part)))
    is_oral_code = any(s in RXNORM and c in FLUDARABINE_ORAL_RXNORM for s, c in codes)
    by_name = any(FLUDARABINE_NAME.search(text) for text in words)
    if is_oral_code or by_name or any(_is_fludarabine(*pair) for pair in codes):
        is_oral = is_oral_code or any(ORAL_NAME.search(text) for text in words)
        mixed_with = _mixed_with(order, library)
        others = sorted(c for s, c in codes if s in ATC and _is_another_atc(c))
        doubt = f"fludarabine by its name, ATC {others[0][:10]} by its code" if others else ""
        return Drug(
            kind="fludarabine",
            is_oral=is_oral,
            words=words,
            mixed_with=mixed_with,
            doubt="" if mixed_with else doubt,
            is_named=by_name,
        )
    has_name = bool(words) or any(system in ATC for system, _ in codes)
    return Drug("other" if has_name else "unknown", words=words)


def _is_fludarabine(system: str, code: str) -> bool:
    return (
        (system in ATC and code == FLUDARABINE_ATC)
        or (system in RXNORM and code in FLUDARABINE_RXNORM)
        or (system in UNII and code in FLUDARABINE_UNII)
    )


def _is_another_atc(code: str) -> bool:
    """Tell a code of ATC that is neither fludarabine, nor a group it is in, nor a diluent."""
    return not FLUDARABINE_ATC.startswith(code) and not code.startswith(("B05", "V07"))


def _parts(owner: Raw, library: Library, seen: set[int]) -> Iterator[Any]:
    """Everything that tells the drug of an order, or of a medication it is made from."""
    if id(owner) in seen:
        return
    seen.add(id(owner))
    for key in ("medicationCodeableConcept", "medicationReference", "medication"):
        if key in owner:
            yield owner[key]
            yield from _referred(owner[key], owner, library, seen)


def _referred(value: Any, owner: Raw, library: Library, seen: set[int]) -> Iterator[Any]:
    """Medications behind references, and their ingredients."""
    if not isinstance(value, dict):
        return
    nested = value.get("reference")
    reference = nested.get("reference") if isinstance(nested, dict) else nested
    target = library.resolved(reference, owner) if isinstance(reference, str) else None
    if target is None or id(target) in seen:
        return
    seen.add(id(target))
    yield {key: part for key, part in target.items() if key not in ("text", "contained")}
    for ingredient in objects(target.get("ingredient")):
        item = ingredient.get("itemReference")
        # what an ingredient refers to is contained beside the medication
        yield from _referred(item, target if "contained" in target else owner, library, seen)


def _mixed_with(order: Raw, library: Library) -> tuple[str, ...]:
    """Names of other active ingredients of the product."""
    reference = order.get("medicationReference")
    link = reference.get("reference") if isinstance(reference, dict) else None
    target = library.resolved(link, order) if isinstance(link, str) else None
    others = []
    for ingredient in objects((target or {}).get("ingredient")):
        if ingredient.get("isActive") is False:
            continue
        parts = [
            ingredient,
            *_referred(ingredient.get("itemReference"), target or {}, library, set()),
        ]
        texts = [text for part in parts for text in _words(part)]
        codes = [pair for part in parts for pair in _codes(part)]
        is_it = any(map(FLUDARABINE_NAME.search, texts)) or any(
            _is_fludarabine(*pair) for pair in codes
        )
        is_diluent = any(word in text.lower() for text in texts for word in _DILUENT)
        if not is_it and not is_diluent:
            others.append(texts[0] if texts else "an ingredient without a name")
    return tuple(others)


def _codes(value: Any) -> Iterator[tuple[str, str]]:
    """System and code of every coding inside."""
    for part in _inside(value):
        code, system = part.get("code"), part.get("system")
        if isinstance(code, str) and isinstance(system, str):
            yield system, code.strip()


def _words(value: Any) -> Iterator[str]:
    """Every name inside, and a text where an object was expected."""
    if isinstance(value, str):
        yield value
    for part in _inside(value):
        for key, text in part.items():
            if (key in _WORDS and isinstance(text, str) and text.strip()) or (
                isinstance(text, str) and FLUDARABINE_NAME.search(text)
            ):
                yield text.strip()


def _inside(value: Any) -> Iterator[Raw]:
    """Objects inside, but for narratives."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += [inner for key, inner in part.items() if key not in _NARRATIVE]
        elif isinstance(part, list):
            waiting += part
