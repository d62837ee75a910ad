"""Belief functions: masses, rules, divergences, fusion of branches."""

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
    "jousselme_distance",
    "murphy",
    "pignistic",
    "renyi_entropy",
    "sharpen",
    "xiao",
    "xiao_weights",
    "yager",
]
