"""The peer's side of `peer_scores.py`, run by the Python of its own environment.

Reads requests from its input and answers on its output, both pickled.
"""

import copy
import os
import pickle
import sys

import torch

# As in `segmentation_peer.py`: torchvision's operations are declared, not used.
_library = torch.library.Library("torchvision", "DEF")
for _name in ("nms", "qnms"):
    _library.define(f"{_name}(Tensor dets, Tensor scores, float threshold) -> Tensor")

import segmentation_models_pytorch as smp  # noqa: E402

CLASSES = 2
ENCODERS = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "efficientnet_lite0": "tu-tf_efficientnet_lite0",
}


def take_weights(encoder, path, bands):
    """Gives an encoder the weights of the file that ours starts from.

    Both files list the layers in the order of the network, under other names. The
    first convolution gets those of red, green and blue in turns, scaled to their sum.
    """
    own = [k for k in encoder.state_dict() if not k.endswith("num_batches_tracked")]
    stored = torch.load(path, weights_only=True)
    found = [k for k in stored if not k.endswith("num_batches_tracked")]
    state = {a: stored[b] for a, b in zip(own, found, strict=False)}
    stem = own[0]
    state[stem] = state[stem].repeat(1, -(-bands // 3), 1, 1)[:, :bands] * (3 / bands)
    encoder.load_state_dict(state, strict=False)


class Side:
    """A network, its optimiser, and its best weights so far."""

    def build(self, network, encoder, rates, weights, bands, seed, decay):
        torch.manual_seed(seed)
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        options = {"encoder_weights": None, "in_channels": bands, "classes": CLASSES}
        if network == "unet":
            self.model = smp.Unet(ENCODERS[encoder], **options)
        else:
            self.model = smp.DeepLabV3Plus(
                ENCODERS[encoder],
                **options,
                decoder_atrous_rates=tuple(rates),
                decoder_aspp_dropout=0.0,
            )
        if weights is not None:
            take_weights(self.model.encoder, weights, bands)
        self.model = self.model.to(memory_format=torch.channels_last)
        kernels = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [
            {"params": kernels, "weight_decay": decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, eps=1e-7)

    def logits(self, image):
        """Returns logits (B, classes, H, W) of images (B, H, W, bands), 0 to 255."""
        values = (torch.from_numpy(image).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
        return self.model(values.contiguous(memory_format=torch.channels_last))

    def train(self, image, labels, rate):
        """Takes one step of cross-entropy with Dice; returns the loss."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        logits, labels = self.logits(image), torch.from_numpy(labels).long()
        loss = cross_entropy_dice(logits, labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def predict(self, image):
        """Returns probabilities (B, H, W, classes)."""
        self.model.eval()
        with torch.inference_mode():
            return self.logits(image).softmax(1).permute(0, 2, 3, 1).numpy()

    def keep(self):
        """Keeps the weights."""
        self.best = copy.deepcopy(self.model.state_dict())

    def restore(self):
        """Goes back to the weights that were kept; returns what is to be known."""
        self.model.load_state_dict(self.best)
        return {"parameters": sum(p.numel() for p in self.model.parameters())}


def cross_entropy_dice(logits, labels):
    """The sum that `CrossEntropyDiceLoss` computes; label 255 counts nowhere."""
    entropy = torch.nn.functional.cross_entropy(logits, labels, ignore_index=255)
    valid = (labels != 255).unsqueeze(1)
    truth = torch.nn.functional.one_hot(labels.clamp(max=CLASSES - 1), CLASSES)
    truth = truth.permute(0, 3, 1, 2) * valid
    found = logits.softmax(1) * valid
    areas = [part.sum((0, 2, 3)) for part in (found * truth, found, truth)]
    dice = 2 * areas[0] / (areas[1] + areas[2]).clamp(min=1e-7)
    return entropy + 1 - dice.mean()


def main():
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    side = Side()
    while True:
        try:
            what, values = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(getattr(side, what)(**values), answers, protocol=5)
        answers.flush()


if __name__ == "__main__":
    main()
