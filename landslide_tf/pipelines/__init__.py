"""From examples to batches: order, sampling, augmentation."""

from landslide_tf.pipelines.augment import (
    Augmentation,
    example_generator,
    pad_example,
    random_patch,
)
from landslide_tf.pipelines.batches import EvaluationBatches, TrainingBatches, collate
from landslide_tf.pipelines.inputs import (
    ChannelStatistics,
    InputSelection,
    channel_statistics,
    channel_values,
    class_shares,
)
from landslide_tf.pipelines.store import (
    Channel,
    DataDescription,
    ExampleStore,
    build,
    describe,
    find_builder,
    from_examples,
    load,
    split_name,
)

__all__ = [
    "Augmentation",
    "Channel",
    "ChannelStatistics",
    "DataDescription",
    "EvaluationBatches",
    "ExampleStore",
    "InputSelection",
    "TrainingBatches",
    "build",
    "channel_statistics",
    "channel_values",
    "class_shares",
    "collate",
    "describe",
    "example_generator",
    "find_builder",
    "from_examples",
    "load",
    "pad_example",
    "random_patch",
    "split_name",
]
