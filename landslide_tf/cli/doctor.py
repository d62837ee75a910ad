"""`landslide-tf doctor`: what this machine has."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from landslide_tf.cli.options import DataDir, ManualDir
from landslide_tf.cli.startup import start_tensorflow

_BUILT = "*/dataset_info.json"


def doctor(data_dir: DataDir = None, manual_dir: ManualDir = None) -> None:
    """Print versions, backend, GPUs, precision, threads, folders and data sets."""
    start_tensorflow()
    import rasterio
    from rich.console import Console
    from rich.table import Table

    from landslide_tf import datasets
    from landslide_tf.train import environment

    facts = environment()
    built = datasets.data_dir(data_dir)
    manual = datasets.manual_dir(manual_dir, download_dir=built / "downloads")
    rows = {
        **facts["versions"],
        "GDAL": f"{rasterio.__gdal_version__} (rasterio {rasterio.__version__})",
        **{name: facts[name] for name in ("platform", "cores", "backend", "precision")},
        "threads": facts.get("threads") or "TensorFlow's choice",
        "oneDNN": "on" if facts.get("onednn") else "off",
        "GPUs": ", ".join(facts.get("gpus", [])) or "none",
        "data folder": f"{built} ({_state(built)})",
        "manual folder": f"{manual} ({_state(manual)})",
        "temporary folder": tempfile.gettempdir(),
    }
    for name, configs in datasets.configurations().items():
        # TFDS writes the file at the end of a build.
        found = [c for c in configs if any((built / name / c).glob(_BUILT))]
        rows[f"data set {name}"] = ", ".join(found) or "not built"
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(name, str(value))
    Console(width=max(80, Console().width)).print(table)


def _state(folder: Path) -> str:
    if folder.is_dir():
        return "writable" if os.access(folder, os.W_OK) else "not writable"
    above = next(p for p in folder.parents if p.exists())
    writable = os.access(above, os.W_OK)
    return "made when needed" if writable else f"missing, {above} is not writable"
