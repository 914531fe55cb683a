"""A model for pharmpy: a script that reads the control stream."""

from __future__ import annotations

from fludapk.published.engines import nonmem
from fludapk.published.engines.statements import Statements


def code(model: Statements) -> str:
    """Write a Python script that makes the model."""
    control = nonmem.code(model)
    return (
        f'"""{model.model.id} for pharmpy (pip install pharmpy-core)."""\n\n'
        "from pharmpy.modeling import convert_model, read_model_from_string\n\n"
        f'CODE = """{control}"""\n\n'
        "model = read_model_from_string(CODE)\n\n"
        'if __name__ == "__main__":\n'
        "    print(model.parameters.to_dataframe())\n"
        '    print(convert_model(model, "generic").statements)\n'
    )
