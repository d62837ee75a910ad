"""What needs neither Keras nor TensorFlow is done, or refused, before they load."""

import subprocess
import sys

COMMANDS = {
    "recipes list": (0, "rae_d_bijie"),
    "recipes show fstf_net_mmls": (0, "name: mmls"),
    "train nosuch": (2, "There is no recipe `nosuch`"),
    "train fstf_net_mmls --set training.epoch=1": (2, "training.epoch"),
    "train --resume nosuch": (2, "`nosuch` is not a run folder"),
    "tune nosuch": (2, "There is no recipe `nosuch`"),
    "finetune nosuch --data mmls --samples 1": (2, "`nosuch` is not a run folder"),
    "adapt nosuch --target mmls": (2, "`nosuch` is not a run folder"),
    "evaluate nosuch --data mmls:test": (2, "no shipped model `nosuch`"),
    "evaluate nosuch": (2, "give `--data`"),
    "export nosuch --out served": (2, "not a run or an export folder"),
    "map nosuch --image a.tif --out b.tif": (2, "no shipped model `nosuch`"),
    "evidential train nosuch": (2, "There is no recipe `nosuch`"),
    "continual train nosuch": (2, "There is no recipe `nosuch`"),
    "continual matrix nosuch": (2, "There is no recipe `nosuch`"),
    "continual tune nosuch": (2, "There is no recipe `nosuch`"),
    "benchmark nosuch": (2, "There is no grid `nosuch`"),
    "benchmark synthetic --models nosuch": (2, "has no model `nosuch`"),
    "evidential fuse nosuch": (2, "`nosuch`, which does not exist"),
    "evidential evaluate nosuch": (2, "`nosuch` has no `evidential.yaml`"),
    "import-weights nosuch --out run": (2, "`nosuch`, which does not exist"),
    "datasets build nosuch": (2, "There is no data set `nosuch`"),
    "datasets check mmls/nosuch": (2, "nosuch"),
    "prepare --image nosuch.tif --labels a.json --out set": (2, "`nosuch.tif`"),
    "terrain nosuch.tif --out slope.tif": (2, "nosuch.tif"),
    "evaluate-map nosuch.tif --reference a.json": (2, "nosuch.tif"),
    "recognise nosuch --scene a --image a.tif --out b": (2, ""),
    "map-region nosuch --scenes nosuch.txt --out b": (2, "nosuch"),
    "inventory list nosuch.gpkg": (2, ""),
}
RUN = """
import contextlib, io, sys
from landslide_tf.cli.main import main
for line in sys.stdin.read().splitlines():
    sys.argv = ["landslide-tf", *line.split()]
    out, code = io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    loaded = sorted({"keras", "tensorflow", "jax"} & set(sys.modules))
    print([line, code, loaded, out.getvalue()])
"""


def test_recipes_and_wrong_names_need_no_keras(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input="\n".join(COMMANDS),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for row in done.stdout.splitlines():
        line, code, loaded, said = eval(row)
        wanted, words = COMMANDS[line]
        assert (code, loaded) == (wanted, []), row
        assert words in said, row
    assert len(done.stdout.splitlines()) == len(COMMANDS)
