"""Draw the pictures of the README anew: the sheet of its patient, and its study.

``python tools/make_pictures.py`` needs the extra ``report``, and Chromium on the path. All other
pictures of the documentation are drawn when the site is built.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
GIRL: Final = ("--age", "5", "--sex", "female", "--weight", "18.2", "--height", "110",
               "--scr", "0.3 mg/dL", "--regimen", "tisa_cel_ball")  # fmt: skip
SHEET: Final = (840, 880)
"""Width and height of the upper part of the sheet, pixels."""


def fludapk(*arguments: str) -> None:
    """Run a command of fludapk."""
    subprocess.run(
        [sys.executable, "-m", "fludapk", *arguments], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )


def main() -> None:
    """Write `docs/sheet.png` and `docs/adaptive.svg`."""
    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder, "girl.html")
        fludapk("check", *GIRL, "--report", str(sheet))
        subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--hide-scrollbars",
             f"--user-data-dir={folder}/chromium", "--window-size={},{}".format(*SHEET),
             f"--screenshot={ROOT / 'docs' / 'sheet.png'}", sheet.as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip
        study = Path(folder, "study")
        fludapk("simulate", "examples/adaptive.toml", "-o", str(study))
        shutil.copy(study / "figures" / "auc_distribution.svg", ROOT / "docs" / "adaptive.svg")


if __name__ == "__main__":
    main()
