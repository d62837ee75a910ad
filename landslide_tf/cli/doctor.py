"""`landslide-tf doctor`: what this machine has."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import typer

from landslide_tf.cli.options import DataDir, ManualDir

_BUILT = "*/dataset_info.json"
_USABLE = ("writable", "made when needed")


def doctor(data_dir: DataDir = None, manual_dir: ManualDir = None) -> None:
    """Show versions, devices, folders and built data sets, and whether all is well.

    The exit status is 1 if something must be corrected first.

    Example: landslide-tf doctor
    """
    import rasterio
    from rich.console import Console
    from rich.table import Table

    import landslide_tf.keras_backend  # noqa: F401 - refuses other backends
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
    table.add_column()
    table.add_column(overflow="fold")  # a cut path is of no use
    for name, value in rows.items():
        table.add_row(name, str(value))
    Console(width=max(80, Console().width)).print(table)
    places = {"data": built, "temporary": Path(tempfile.gettempdir())}
    wrong = [
        f"the {name} folder `{folder}` is {state}"
        for name, folder in places.items()
        if (state := _state(folder)) not in _USABLE
    ]
    if wrong:
        typer.echo(f"not ready: {'; '.join(wrong)}.")
        raise typer.Exit(1)
    place = "the GPU" if facts.get("gpus") else "the CPU, since no GPU was found"
    typer.echo(f"ready: networks train and maps are made on {place}.")


def _state(folder: Path) -> str:
    if folder.is_dir():
        return _USABLE[0] if os.access(folder, os.W_OK) else "not writable"
    if folder.exists():
        return "a file"
    above = next(p for p in folder.parents if p.exists())
    writable = above.is_dir() and os.access(above, os.W_OK)
    return _USABLE[1] if writable else f"missing, {above} is not writable"
