"""Notebooks run as they are, and what they show is small and of no machine."""

import json
import re

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs nbformat (the extra `test`)")
pytest.importorskip("nbclient", reason="needs nbclient (the extra `test`)")
pytest.importorskip("ipykernel", reason="needs ipykernel (the extra `test`)")

from tests.notebooks.executing import FOLDER, NOTEBOOKS, execute, pictures  # noqa: E402

LARGEST = 150_000  # bytes of a notebook with its outputs
ROOT = FOLDER.parent.parent

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def texts(book):
    """Everything that a reader can read: cells, and outputs without their pictures."""
    for cell in book.cells:
        yield cell.source
        for output in cell.get("outputs", ()):
            yield output.get("text", "")
            yield from map(str, output.get("traceback", ()))
            for kind, content in output.get("data", {}).items():
                if not kind.startswith("image/"):
                    yield str(content)


def test_the_page_lists_them_all():
    listed = re.findall(r"\]\((\w+)\.ipynb\)", (FOLDER / "README.md").read_text())
    assert sorted(listed) == [path.stem for path in NOTEBOOKS] != []


@notebooks
def test_a_notebook_is_whole_small_and_of_no_machine(path):
    assert path.stat().st_size <= LARGEST
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert book.cells[0].cell_type == "markdown"
    assert book.cells[0].source.startswith("# ")
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    # Executed from top to bottom, once, without an error.
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs and not {"error", "stderr"} & {
        name for o in outputs for name in (o.output_type, o.get("name"))
    }
    assert 1 <= len(pictures(book)) <= 3
    for text in texts(book):
        assert not re.search(r"(/tmp|/home|/root|/work|/Users|C:\\)\b", text), text
        assert str(ROOT) not in text


@notebooks
def test_links_lead_to_files(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            for link in re.findall(r"\]\(([^)#]+)", cell.source):
                assert link.startswith("https://") or (FOLDER / link).is_file(), link


@pytest.mark.integration
@notebooks
def test_a_notebook_runs_in_any_folder(path):
    before = path.read_bytes()
    kept, book = json.loads(before), execute(path)
    assert path.read_bytes() == before
    # The same cells show something, text or picture.
    for old, new in zip(kept["cells"], book.cells, strict=True):
        kinds = [
            [(o["output_type"], sorted(o.get("data", ()))) for o in cell["outputs"]]
            for cell in (old, new)
            if cell["cell_type"] == "code"
        ]
        assert len(kinds) == 0 or kinds[0] == kinds[1]
