"""Belief functions, the fusion of branches, and the saliency they look at."""

from landslide_tf.evidence.channels import fuse_channel
from landslide_tf.evidence.divergences import (
    belief_jensen_renyi,
    belief_jensen_shannon,
    jousselme_distance,
)
from landslide_tf.evidence.entropies import deng_entropy, renyi_entropy
from landslide_tf.evidence.fusion import (
    RULES,
    VARIANTS,
    FusionResult,
    branch_masses,
    combine_branches,
    fuse_branches,
)
from landslide_tf.evidence.masses import Masses, TotalConflictError
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
from landslide_tf.evidence.transforms import discount, pignistic, sharpen

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
