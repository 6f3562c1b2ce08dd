"""The guide's notebook runs from its first cell to its last, offline."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "docs" / "guide" / "report.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", ()))
    assert (
        "What to do next" in said
        and "The credential itself states that AI made or edited this media, or a part" in said
    )
    assert all(
        cell.get("outputs") == []
        for cell in nbformat.read(ROOT / "docs" / "guide" / "report.ipynb", 4).cells
        if cell.cell_type == "code"
    )
