"""What benchmarks share: cases in processes of their own, and their record.

Peak memory never falls, so that a case has to have a process to itself.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def record_of(
    benchmark: str,
    *arguments: object,
    python: str = sys.executable,
    **environment: str,
) -> dict:
    """Runs a benchmark and returns the JSON of its last line.

    Args:
        benchmark: The name of its module.
        *arguments: What follows it on the command line.
        python: The interpreter.
        **environment: Variables that it gets beside those of this process.

    Raises:
        SystemExit: If it fails, with the end of what it said.
    """
    module = f"tests.benchmarks.{benchmark}"
    line = [python, "-m", module, *map(str, arguments)]
    done = subprocess.run(
        line,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(line)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_mib() -> float:
    """Returns the largest resident memory of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def publish(record: dict, out: Path | None) -> None:
    """Prints the record of a benchmark, and writes it where a file is named."""
    text = json.dumps(record, indent=1)
    print(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
