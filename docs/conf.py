"""Documentation: sphinx-build -W --keep-going -b html docs docs/_build/html"""

import sys
from importlib.metadata import version
from pathlib import Path

from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (for the gallery)

sys.path.insert(0, str(Path(__file__).parent))  # for gallery.py

project = "sklearn_rapid"
author = copyright = "the sklearn_rapid developers"
version = release = version("sklearn_rapid")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # formulas need no network
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "**/GALLERY_HEADER.rst", "paper_*.md"]  # the last are included
templates_path = ["templates"]
language = "en_GB"

# --- Markdown -----------------------------------------------------------------------------
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3

# --- Docstrings ---------------------------------------------------------------------------
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say more
numpydoc_show_class_members = False  # the template of a class has its methods
numpydoc_class_members_toctree = False
# All checks but those that ask for sections and sentences where a line says it all.
numpydoc_validation_checks = {
    *("all", "ES01", "EX01", "PR01", "PR04", "PR07", "PR08"),
    *("RT01", "RT02", "RT03", "SA01", "SA03", "SS05"),
}

# Backticks in docstrings are references where they can be. A name without a dot may also be a
# parameter, so that only a dotted one has to be found. Nothing links to scikit-learn's pages, so
# that no network is needed.
default_role = "py:obj"
nitpicky = True
nitpick_ignore_regex = [("py:obj", r"[^.]+|.*\.py"), ("py:.*", r"sklearn\..*")]

# --- Gallery ------------------------------------------------------------------------------
SHOWN = (
    r"tour|adult|digits|grid_search|mnist|imputation|density_estimation|anomalies|missing_entries"
    r"|synthetic_rows|patterns|chains|completion"
    r"|(figure|appendix|section)_\w+|other_machines|probe|ultrametricity"
)
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "ignore_pattern": rf"^(?!({SHOWN})\.py$)",  # modules that scripts share are not shown
    "filename_pattern": r"/(tour\.py|guide/|paper/)",  # what is run; the others take too long
    "reset_argv": "gallery.arguments",
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "write_computation_times": False,
    "download_all_examples": False,
}

# --- HTML ---------------------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = f"sklearn_rapid {release}"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
html_static_path = ["static"]
html_logo = "static/logo.svg"
html_favicon = "static/logo.svg"
html_show_sourcelink = False
copybutton_prompt_text = ">>> "
