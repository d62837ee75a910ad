"""Trains the branches of a small evidential classifier on a few made-up images."""

import warnings

from landslide_tf.datasets import IncompleteDataWarning
from landslide_tf.train import Session, load_recipe, train_branches
from tests.datasets.bijie_files import write_bijie

RECIPE = """
description: small branches for tests
source: made up
data:
  name: bijie_landslide/classification
  image: [red, green, blue]
model:
  name: landslide_classifier
  arguments: {backbone: resnet18, width: 0.0625}
classification: {size: 32, view: whole}
optimizer: {name: adam, learning_rate: 0.01}
augmentation: {dihedral: true}
training:
  epochs: 1
  batch_size: 4
  monitor: val_loss
  mode: min
  deterministic: false
"""


class Data:
    """A TFDS folder, the files it is built from, and a recipe."""

    def __init__(self, root):
        self.data_dir = root / "tfds"
        self.manual_dir = root / "manual"
        self.recipe = root / "small.yaml"
        self.recipe.write_text(RECIPE)
        write_bijie(self.manual_dir, dem=False)
        self.session = Session(self.data_dir, self.manual_dir, verbose=0)

    def load(self, *changes):
        return load_recipe(self.recipe, changes)

    def train(self, folder, *changes, branches=("h", "s", "v")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IncompleteDataWarning)
            return train_branches(
                self.load(*changes), folder, self.session, branches=branches
            )
