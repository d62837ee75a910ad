"""Changes of a recipe that make a run short, for tests of what is done with runs."""

SMALL = [
    "data.train=train[:8]",
    "data.validation=validation[:4]",
    "data.test=test[:4]",
    "model={name: basic_fcn, arguments: {width: 0.0625}}",
    "training={epochs: 1, batch_size: 4, patch: 32, deterministic: false}",
]
# Of `ada_net_visible`, which adapts it.
FEW = [
    "training.deterministic=false",
    "training.epochs=1",
    "training.batch_size=4",
    "adaptation.filters=2",
]


def options(changes):
    """Changes as the commands take them."""
    return [f"--set={change}" for change in changes]
