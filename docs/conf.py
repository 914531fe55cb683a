"""How the site is built: `make docs`."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for engine

project = "fludapk"
author = "The fludapk authors"
copyright = "The fludapk authors"
version = release = importlib.metadata.version("fludapk")
html_title = f"fludapk {version}"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "engine.site"]
exclude_patterns = ["engine", "schemas"]
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False  # a page's source has no outputs
highlight_language = "text"
myst_heading_anchors = 4
autodoc_typehints = "none"  # numpydoc says them
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
