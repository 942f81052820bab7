"""Sphinx configuration: builds offline, warnings are errors (./run docs)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import monops

sys.path.insert(0, str(Path(__file__).parent))
import function_pages
import method_pages
import theorem_pages
import zoo_page

project = "monops"
author = "The monops authors"
release = version = monops.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",  # pages with formulas refer to MathJax; nothing is loaded while building
    "sphinx_gallery.gen_gallery",
]
myst_enable_extensions = ["dollarmath"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "monops"
html_static_path = ["_static"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
intersphinx_mapping: dict[str, tuple[str, None]] = {}
suppress_warnings = ["config.cache"]

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}


def plain_mathematics(app, what, name, obj, options, lines):
    """Docstrings write |x| and K*y in plain text: escape both outside literals and doctests, not **bold**."""
    doctest = False
    for number, line in enumerate(lines):
        doctest = line.lstrip().startswith(">>>") or (doctest and bool(line.strip()))
        if not doctest:
            parts = line.split("``")
            parts[::2] = [re.sub(r"\||(?<!\*)\*(?!\*)|(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
            lines[number] = "``".join(parts)


def setup(app):
    """Run before napoleon reads the sections."""
    for pages in (function_pages, method_pages, theorem_pages, zoo_page):
        app.connect("builder-inited", pages.generate)
    app.connect("autodoc-process-docstring", plain_mathematics, priority=100)
