"""A model for pharmpy: a script that reads the control stream."""

from __future__ import annotations

from collections.abc import Mapping

from fludapk.published.engines import nonmem
from fludapk.published.engines.statements import Statements


def code(model: Statements, covariates: Mapping[str, float]) -> str:
    """Write a Python script that makes the model.

    Parameters
    ----------
    model : Statements
    covariates : mapping of str to float
        Of the worked patient, as in `fludapk.published.engines.nonmem.code`.
    """
    control = nonmem.code(model, covariates)
    return (
        f'"""{model.model.id} for pharmpy (pip install pharmpy-core)."""\n\n'
        "from pharmpy.modeling import convert_model, read_model_from_string\n\n"
        f'CODE = """{control}"""\n\n'
        "model = read_model_from_string(CODE)\n\n"
        'if __name__ == "__main__":\n'
        "    print(model.parameters.to_dataframe())\n"
        '    print(convert_model(model, "generic").statements)\n'
    )
