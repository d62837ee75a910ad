"""On PYTHONPATH, this makes a process one on a machine without TensorFlow."""

import sys
from importlib.abc import MetaPathFinder


class NoTensorFlow(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


sys.meta_path.insert(0, NoTensorFlow())
