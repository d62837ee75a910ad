"""Networks: one a file, built by a public function of the same name."""

import landslide_tf.keras_backend  # noqa: F401 - refuses other backends
from landslide_tf.models import tsmu, weights
from landslide_tf.models.ada_net import ada_net, with_auxiliary
from landslide_tf.models.aspp_net import aspp_net
from landslide_tf.models.assembly import total_stride
from landslide_tf.models.backbones.repvgg import deployed
from landslide_tf.models.basic_fcn import basic_fcn
from landslide_tf.models.deeplab_v3_plus import deeplab_v3_plus
from landslide_tf.models.evidential_net import evidential_net
from landslide_tf.models.fcn_8s import fcn_8s
from landslide_tf.models.fstf_net import fstf_net
from landslide_tf.models.grad_cam import grad_cam
from landslide_tf.models.landslide_classifier import landslide_classifier
from landslide_tf.models.layer_groups import freeze
from landslide_tf.models.mffe_net import mffe_net
from landslide_tf.models.output_space_discriminator import (
    output_space_discriminator,
)
from landslide_tf.models.prediction import prediction_function
from landslide_tf.models.rae_d import rae_d
from landslide_tf.models.registry import build_described, get, list_models
from landslide_tf.models.shipped import list_weights
from landslide_tf.models.tsmu_net import tsmu_net
from landslide_tf.models.unet import unet

__all__ = [
    "ada_net",
    "aspp_net",
    "basic_fcn",
    "build_described",
    "deeplab_v3_plus",
    "deployed",
    "evidential_net",
    "fcn_8s",
    "freeze",
    "fstf_net",
    "get",
    "grad_cam",
    "landslide_classifier",
    "list_models",
    "list_weights",
    "mffe_net",
    "output_space_discriminator",
    "prediction_function",
    "rae_d",
    "total_stride",
    "tsmu",
    "tsmu_net",
    "unet",
    "weights",
    "with_auxiliary",
]
