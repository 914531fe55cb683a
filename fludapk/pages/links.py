"""Links from an answer to the papers that it rests on."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from fludapk.published.models import load_models
from fludapk.published.targets import targets

if TYPE_CHECKING:
    from markupsafe import Markup

_LINK: Final = '<a href="https://doi.org/{}" target="_blank" rel="noopener noreferrer">{}</a>'
_DOI: Final = re.compile(r"\b10\.\d{4,9}/[^\s,;]*[^\s,;.]")


@lru_cache(maxsize=1)
def dois() -> dict[str, str]:
    """Citations, and names as people cite them, with the DOI of their papers.

    Examples
    --------
    >>> dois()["Fabrizio 2022"], dois()["Langenhorst 2019"]
    ('10.1182/bloodadvances.2021006418', '10.1007/s40262-018-0715-9')
    """
    models = {
        name: model.file.citation.doi
        for model in load_models()
        for name in (model.id, model.file.citation.name)
    }
    of_targets = {
        text: target.doi
        for target in targets().values()
        if target.doi
        for text in (target.citation, target.name)
    }
    return {name: doi for name, doi in (models | of_targets).items() if doi}


def cited(text: str) -> Markup:
    """Link a text to the papers it names; opening one is the only thing that leaves the machine.

    Parameters
    ----------
    text : str
        With a DOI, or with citations of ours.

    Examples
    --------
    >>> print(cited("see Scordo 2023 & others")[:59])
    see <a href="https://doi.org/10.1182/bloodadvances.20230103
    """
    from markupsafe import Markup, escape

    words = re.compile(
        "|".join(
            [
                _DOI.pattern,
                *(rf"\b{re.escape(name)}(?!\w)" for name in sorted(dois(), key=len)[::-1]),
            ]
        )
    )
    parts, at = [], 0
    for match in words.finditer(text):
        doi = dois().get(match[0], match[0])
        parts += [
            escape(text[at : match.start()]),
            Markup(_LINK).format(doi, match[0]),
        ]
        at = match.end()
    return Markup("").join([*parts, escape(text[at:])])
