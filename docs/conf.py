"""The documentation site: ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
# Notebooks run in processes of their own; what one has compiled the next needn't.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(HERE / "_build" / "xla"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import leepjax  # noqa: E402

project = "leepjax"
author = copyright = "the leepjax authors"
version = release = leepjax.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "cyclopts.ext.sphinx",
    "myst_nb",
    "sphinx_copybutton",
    # Ours, beside this file: what is written anew from the package at each build.
    "docstrings",
    "measure_pages",
    "api_pages",
    "defect_tests",
]
exclude_patterns = ["_build", "_generated"]

html_theme = "furo"
html_title = f"leepjax {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_show_sphinx = False

# A word in `backticks` is code, and a link where it names something that is documented.
default_role = "py:obj"
# Formulas are shown as they are written: nothing is guessed to be Python that doesn't say so.
highlight_language = "none"
python_use_unqualified_type_names = True
autodoc_typehints = "none"  # docstrings have the shapes, which types don't
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = False  # `api_pages` writes the pages that summaries link to
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Reference", "References")]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "auto"
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # beside other work a second can take ten
nb_execution_show_tb = True
nb_merge_streams = True
nb_render_markdown_format = "myst"
copybutton_exclude = ".linenos, .gp, .go"
