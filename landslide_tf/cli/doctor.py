"""`landslide-tf doctor`: what this machine has."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from landslide_tf.cli.options import DataDir, ManualDir
from landslide_tf.cli.startup import start_tensorflow


def doctor(data_dir: DataDir = None, manual_dir: ManualDir = None) -> None:
    """Print versions, backend, GPUs, precision, threads, folders and data sets."""
    start_tensorflow()
    from rich.console import Console
    from rich.table import Table

    from landslide_tf import datasets
    from landslide_tf.train import environment

    facts = environment()
    table = Table(show_header=False, box=None)
    for name, version in facts["versions"].items():
        table.add_row(name, version)
    table.add_row("GDAL", _gdal_version())
    table.add_row("platform", facts["platform"])
    table.add_row("cores", str(facts["cores"]))
    table.add_row("backend", facts["backend"])
    table.add_row("precision", facts["precision"])
    threads = facts.get("threads", 0)
    table.add_row("threads", str(threads or "TensorFlow's choice"))
    table.add_row("oneDNN", "on" if facts.get("onednn") else "off")
    table.add_row("GPUs", ", ".join(facts.get("gpus", [])) or "none")
    built = datasets.data_dir(data_dir)
    manual = datasets.manual_dir(manual_dir, download_dir=built / "downloads")
    for name, folder in (("data folder", built), ("manual folder", manual)):
        table.add_row(name, f"{folder} ({_state(folder)})")
    table.add_row("temporary folder", tempfile.gettempdir())
    for name, configs in datasets.configurations().items():
        found = [c for c in configs if (built / name / c).is_dir()]
        table.add_row(f"data set {name}", ", ".join(found) or "not built")
    Console(width=max(80, Console().width)).print(table)


def _state(folder: Path) -> str:
    if folder.is_dir():
        return "writable" if os.access(folder, os.W_OK) else "not writable"
    above = next(p for p in folder.parents if p.exists())
    writable = os.access(above, os.W_OK)
    return "made when needed" if writable else f"missing, {above} is not writable"


def _gdal_version() -> str:
    import rasterio

    return f"{rasterio.__gdal_version__} (rasterio {rasterio.__version__})"
