"""Requests of `fludapk evaluate`: a file of levels as an upload, models compared, nothing kept."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Final, Literal

from fastapi import UploadFile
from pydantic import Field

from fludapk.answers.typed import Folders
from fludapk.errors import InputError
from fludapk.language import tr
from fludapk.patients.columns import opened
from fludapk.patients.fields import FIELDS
from fludapk.studies.evaluation import SIMULATIONS, Evaluation, evaluation_of
from fludapk.studies.evaluation_data import read_subjects
from fludapk.web.asked import Asked, Several, described, with_fields

MOST_SIMULATIONS: Final = 2000
"""Simulated sets of levels of a request at most; the command line takes more."""
_OF_ALL_PATIENTS: Final = ("product", "diagnosis", "genotype")
"""Fields for patients without their own."""


@with_fields(*_OF_ALL_PATIENTS, "values", "encoding", "sheet", "dv_unit", "lloq_mg_l")
class EvaluateAsked(Asked):
    """Request of `fludapk evaluate`."""

    file: UploadFile = Field(
        description="NONMEM-style records, as CSV or a workbook (.xlsx): ID TIME AMT RATE EVID MDV "
        "DV and covariates; see `fludapk evaluate --help`."
    )
    map: Several = Field([], description=described("names"))
    amt: Literal["phosphate", "f_ara_a", ""] | None = Field(None, description=described("amount"))
    models: Several = Field(
        [], description="Models to compare; all that can predict these patients if absent."
    )
    simulations: Annotated[int, Field(ge=100, le=MOST_SIMULATIONS)] = Field(
        SIMULATIONS, description=described("simulations")
    )

    def answer(self, content: bytes, folders: Folders, most_rows: int) -> Evaluation:
        """Compare the models on the levels of a file.

        Parameters
        ----------
        content : bytes
            What the file holds.
        folders : sequence of Path, optional
            See `fludapk.published.models.model_folders`.
        most_rows : int
            Records that are read at most.

        Raises
        ------
        FludapkError
            If the records cannot be understood or are too many, or no patient or model is left.
        """
        fields = {name: value or None for name, value in self.typed.items()}
        source, layout = opened(
            content,
            [pair for pair in self.map if pair],
            {name: fields[name] for name in _OF_ALL_PATIENTS},
            codes=[text for text in fields["values"] or () if text],
            encoding=fields["encoding"],
            sheet=fields["sheet"],
        )
        rows = list(islice(source.rows(), most_rows + 1))
        if len(rows) > most_rows:
            raise InputError(
                tr("the file has more than {n} records: use fludapk evaluate", n=most_rows)
            )
        data = read_subjects(
            layout,
            rows,
            unit=fields[FIELDS["dv_unit"].name],
            lloq=fields[FIELDS["lloq_mg_l"].name],
            amount=fields["amt"],
            sha256=source.sha256(),
            first_row=source.first_row,
        )
        models = [name for name in self.models if name]
        return evaluation_of(data, models=models, simulations=self.simulations, folders=folders)
