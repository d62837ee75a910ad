"""What is trained: maps of pixels, classes of whole images, two regions.

A task is a module of its own, so that a new one touches no other; `task_of` alone
chooses it.
"""

from landslide_tf.train.recipe.model import TaskName
from landslide_tf.train.recipe.schema import Recipe
from landslide_tf.train.tasks.adaptation import Adaptation
from landslide_tf.train.tasks.classification import Classification
from landslide_tf.train.tasks.segmentation import Segmentation
from landslide_tf.train.tasks.task import Task

TASKS: dict[TaskName, type[Task]] = {
    "segmentation": Segmentation,
    "classification": Classification,
    "adaptation": Adaptation,
}


def task_of(recipe: Recipe) -> Task:
    """Returns the task of a recipe."""
    return TASKS[recipe.task](recipe)
