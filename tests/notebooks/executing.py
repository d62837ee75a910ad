"""Executes the notebooks of `docs/notebooks`.

`python -m tests.notebooks.executing [NAME …]` executes them in place, all or those that
are named, and keeps what belongs into the repository: the outputs, without times,
warnings and logs.
"""

import os
import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# As in tests: TensorFlow is silent, and no more threads than there are cores here.
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def execute(path):
    """Executes a notebook in a new folder, in a kernel of this interpreter.

    Returns:
        The notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = nbclient.NotebookClient(
            book,
            timeout=300,
            kernel_name="python3",
            coalesce_streams=True,
            resources={"metadata": {"path": folder}},
        )
        environment = {**os.environ, **QUIET, "TMPDIR": folder}
        with client.setup_kernel(env=environment):
            for index, cell in enumerate(book.cells):
                client.execute_cell(cell, index)
    for cell in book.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    book.metadata.pop("widgets", None)
    book.metadata.language_info = {"name": "python"}
    return book


def pictures(book):
    """The media types of what a notebook shows besides text."""
    return [
        kind
        for cell in book.cells
        for output in cell.get("outputs", ())
        for kind in output.get("data", {})
        if kind.startswith("image/")
    ]


def main(names):
    """Executes notebooks in place, those of some names or all."""
    for path in NOTEBOOKS:
        if not names or path.stem in names:
            nbformat.write(execute(path), path)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
