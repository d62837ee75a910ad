"""The peer's side of `segmentation.py`, run by the Python of its own environment."""

import json
import sys

import torch

# torchvision's compiled operations are for another build of torch than the CPU's; the
# networks use none of them, and their declarations let torchvision be imported.
_library = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _library.define(f"{_name}(Tensor dets, Tensor scores, float threshold) -> Tensor")

import segmentation_models_pytorch as smp  # noqa: E402
from segmentation_models_pytorch.decoders.deeplabv3.decoder import (  # noqa: E402
    SeparableConv2d,
)

sys.path.insert(0, str(__import__("pathlib").Path(__file__).parent))

from segmentation import CLASSES, SIZE, THREADS, peak_mib, serve  # noqa: E402


def network(name):
    """Builds the peer's network."""
    options = {"encoder_weights": None, "classes": CLASSES}
    if name == "unet":
        return smp.Unet("resnet50", **options)
    separable = name == "separable"
    model = smp.DeepLabV3Plus(
        "resnet50",
        **options,
        decoder_atrous_rates=(6, 12, 18),
        decoder_aspp_separable=separable,
    )
    if not separable:
        make_dense(model)
    return model


def make_dense(module):
    """Replaces every separable convolution by a whole one of the same shape."""
    for name, child in module.named_children():
        if isinstance(child, SeparableConv2d):
            depthwise, pointwise = child
            dense = torch.nn.Conv2d(
                depthwise.in_channels,
                pointwise.out_channels,
                depthwise.kernel_size,
                padding=depthwise.padding,
                dilation=depthwise.dilation,
                bias=False,
            )
            setattr(module, name, dense)
        else:
            make_dense(child)


def side(name, mode, batch, variant):
    """Returns the function to time, and what is to be known of it."""
    imported = peak_mib()
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    image = torch.rand(batch, 3, SIZE, SIZE)
    model = network(name)
    facts = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "imported_mib": imported,
    }
    if variant == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        image = image.contiguous(memory_format=torch.channels_last)
    if mode == "train":
        labels = torch.randint(0, CLASSES, (batch, SIZE, SIZE))
        optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
        loss = torch.nn.CrossEntropyLoss()

        def step():
            optimizer.zero_grad(set_to_none=True)
            value = loss(model(image), labels)
            value.backward()
            optimizer.step()
            return value.item()

        return step, facts
    model = torch.nn.Sequential(model, torch.nn.Softmax(dim=1)).eval()
    if variant == "jit":
        with torch.no_grad():
            model = torch.jit.freeze(torch.jit.trace(model, image))

    def infer():
        with torch.inference_mode():
            return model(image).numpy()

    return infer, facts


def work(name):
    """Prints the multiply-adds of the convolutions for one image, in 1e9."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        network(name).eval()(torch.rand(1, 3, SIZE, SIZE))
    print(json.dumps({"gmac": round(counter.get_total_flops() / 2e9, 2)}))


if __name__ == "__main__":
    chosen, mode, batch, variant = sys.argv[1:]
    if mode == "work":
        work(chosen)
    else:
        serve(lambda: side(chosen, mode, int(batch), variant))
