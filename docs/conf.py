"""The documentation site: MyST pages, and a reference made from docstrings and --help."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gioconda_core.version import __version__

project = "Gioconda"
author = "The Gioconda authors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "**/*.ipynb"]
html_theme = "furo"
html_title = "Gioconda"
html_show_copyright = False
myst_enable_extensions = ["deflist", "colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": False}
napoleon_use_ivar = True
suppress_warnings = [
    "myst.xref_missing",
    "ref.python",
]  # several classes have a field "size"; no link is better than a wrong one

_FIELD = re.compile(r"[a-z_]\w*(, [a-z_]\w*)* : ")


def _lists(app, what, name, obj, options, lines):
    """``name : meaning`` lines below a docstring's first paragraph, as this project writes them, become a list."""
    out: list[str] = []
    inside = False
    rules = [i for i, line in enumerate(lines) if len(line) > 3 and not line.strip("-")]
    first = rules[0] - 1 if rules else len(lines)  # napoleon's sections begin here: they are its own
    for i, line in enumerate(lines):
        line = line.replace("|", r"\|") if "``" not in line else line
        if i < first and _FIELD.match(line):
            out += ([] if inside else [""]) + [f"* {line}"]
            inside = True
        elif inside and line.startswith(" "):
            out.append("  " + line.strip())
        else:
            out += [""] if inside and line else []
            out.append(line)
            inside = False
    lines[:] = out


def setup(app):
    """Sphinx's own hook: before napoleon, which reads the same docstrings."""
    app.connect("autodoc-process-docstring", _lists, priority=400)
