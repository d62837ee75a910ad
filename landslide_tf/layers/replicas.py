"""Whether a layer runs as one of several replicas that share a batch."""

from __future__ import annotations

import keras


def replicated() -> bool:
    """Says whether this call is one of several replicas of a `tf.distribute` strategy.

    Returns:
        False outside a strategy, with a single replica and on other backends.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1
