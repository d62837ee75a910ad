"""From examples to batches: order, sampling, augmentation."""

from landslide_tf.pipelines.arrays import (
    export_arrays,
    load_arrays,
    read_arrays,
    write_arrays,
)
from landslide_tf.pipelines.augment import (
    Augmentation,
    example_generator,
    pad_example,
    random_patch,
)
from landslide_tf.pipelines.batches import (
    ArraySpec,
    EvaluationData,
    TrainingData,
    evaluation_stream,
    read_batches,
    training_stream,
)
from landslide_tf.pipelines.built_sets import (
    build,
    find_builder,
    load,
    prepared_builder,
    split_name,
)
from landslide_tf.pipelines.classification import (
    ImageEvaluationBatches,
    ImageTrainingBatches,
    hold_out,
    holds_labels,
)
from landslide_tf.pipelines.inputs import (
    ChannelStatistics,
    InputSelection,
    channel_values,
    class_shares,
)
from landslide_tf.pipelines.named_data import (
    default_selection,
    evaluation_data,
    evaluation_dataset,
    evaluation_sequence,
    training_data,
    training_dataset,
    training_sequence,
)
from landslide_tf.pipelines.region_batches import RegionBatches, WholeRegion
from landslide_tf.pipelines.region_examples import (
    RegionExamples,
    default_rounds,
    draw_subset,
    load_region,
)
from landslide_tf.pipelines.saliency import (
    DEGRADATIONS,
    Degradation,
    branch_image,
    branch_images,
    branch_map,
    branch_stores,
)
from landslide_tf.pipelines.segmentation import (
    EvaluationBatches,
    PermutedBatches,
    TrainingBatches,
    collate,
)
from landslide_tf.pipelines.statistics import channel_statistics
from landslide_tf.pipelines.store import (
    Channel,
    DataDescription,
    ExampleStore,
    describe,
    from_examples,
    sample_examples,
)

__all__ = [
    "DEGRADATIONS",
    "ArraySpec",
    "Augmentation",
    "Channel",
    "ChannelStatistics",
    "DataDescription",
    "Degradation",
    "EvaluationBatches",
    "EvaluationData",
    "ExampleStore",
    "ImageEvaluationBatches",
    "ImageTrainingBatches",
    "InputSelection",
    "PermutedBatches",
    "RegionBatches",
    "RegionExamples",
    "TrainingBatches",
    "TrainingData",
    "WholeRegion",
    "branch_image",
    "branch_images",
    "branch_map",
    "branch_stores",
    "build",
    "channel_statistics",
    "channel_values",
    "class_shares",
    "collate",
    "default_rounds",
    "default_selection",
    "describe",
    "draw_subset",
    "evaluation_data",
    "evaluation_dataset",
    "evaluation_sequence",
    "evaluation_stream",
    "example_generator",
    "export_arrays",
    "find_builder",
    "from_examples",
    "hold_out",
    "holds_labels",
    "load",
    "load_arrays",
    "load_region",
    "pad_example",
    "prepared_builder",
    "random_patch",
    "read_arrays",
    "read_batches",
    "sample_examples",
    "split_name",
    "training_data",
    "training_dataset",
    "training_sequence",
    "training_stream",
    "write_arrays",
]
