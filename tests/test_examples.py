"""Every public function and class has an example in its docstring, and it runs."""

import doctest
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

# Packages whose public functions and classes all need an example.
REQUIRED = (
    "evidence",
    "inventory",
    "losses",
    "mapping",
    "metrics",
    "models",
    "objects",
    "prepare",
    "raster",
    "recognition",
    "serving",
    "terrain",
)
# Packages whose examples run, where there are some.
OTHERS = ("layers", "pipelines")
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def public(module: ModuleType, seen: tuple[str, ...] = ()) -> Iterator[tuple]:
    """The functions and classes of a package's `__all__`, and of modules in it.

    A package without `__all__` offers what its modules define.
    """
    if hasattr(module, "__all__"):
        names = module.__all__
    elif hasattr(module, "__path__"):
        names = [part.name for part in pkgutil.iter_modules(module.__path__)]
        for name in names:
            importlib.import_module(f"{module.__name__}.{name}")
    else:
        names = [
            n
            for n, v in vars(module).items()
            if not n.startswith("_") and own(v, module)
        ]
    for name in names:
        thing = getattr(module, name)
        if inspect.ismodule(thing):
            yield from public(thing, (*seen, name))
        elif inspect.isroutine(thing) or inspect.isclass(thing):
            yield ".".join((*seen, name)), thing


def own(thing: object, module: ModuleType) -> bool:
    return getattr(thing, "__module__", None) == module.__name__


def packages(names):
    return [importlib.import_module(f"landslide_tf.{name}") for name in names]


def runnable(package: ModuleType) -> list[doctest.DocTest]:
    """The examples; those of the library import all that they use."""
    finder = doctest.DocTestFinder()
    found = []
    for name, thing in public(package):
        module = sys.modules[thing.__module__]
        alone = package.__name__.rpartition(".")[2] in REQUIRED
        names = {} if alone else dict(vars(module))
        found += finder.find(thing, name, module=module, globs=names)
    return [test for test in found if test.examples]


@pytest.mark.parametrize("package", REQUIRED)
def test_every_public_name_has_an_example(package):
    (module,) = packages([package])
    without = [n for n, thing in public(module) if ">>> " not in (thing.__doc__ or "")]
    assert without == []


@pytest.mark.integration
@pytest.mark.parametrize("package", [*REQUIRED, *OTHERS])
def test_examples_run(package, tmp_path, monkeypatch, tiny_data):
    # TFDS reads its environment once; nothing is written into the user's folder.
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tiny_data))
    (module,) = packages([package])
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    said: list[str] = []
    for number, test in enumerate(runnable(module)):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)
    assert runner.tries > 0 or package in OTHERS
