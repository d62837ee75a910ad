"""Belief functions, the fusion of branches, and the saliency they look at."""

from landslide_tf.evidence.channels import fuse_channel
from landslide_tf.evidence.fusion import (
    RULES,
    VARIANTS,
    FusionResult,
    branch_masses,
    combine_branches,
    fuse_branches,
)
from landslide_tf.evidence.masses import (
    Masses,
    TotalConflictError,
    discount,
    pignistic,
    sharpen,
)
from landslide_tf.evidence.measures import (
    belief_jensen_renyi,
    belief_jensen_shannon,
    deng_entropy,
    jousselme_distance,
    renyi_entropy,
)
from landslide_tf.evidence.rules import (
    Conjunction,
    conjunctive,
    dempster,
    murphy,
    xiao,
    xiao_weights,
    yager,
)
from landslide_tf.evidence.saliency import multiscale_saliency, to_uint8

__all__ = [
    "RULES",
    "VARIANTS",
    "Conjunction",
    "FusionResult",
    "Masses",
    "TotalConflictError",
    "belief_jensen_renyi",
    "belief_jensen_shannon",
    "branch_masses",
    "combine_branches",
    "conjunctive",
    "dempster",
    "deng_entropy",
    "discount",
    "fuse_branches",
    "fuse_channel",
    "jousselme_distance",
    "multiscale_saliency",
    "murphy",
    "pignistic",
    "renyi_entropy",
    "sharpen",
    "to_uint8",
    "xiao",
    "xiao_weights",
    "yager",
]
