"""`landslide-tf benchmark`: what can be chosen of a grid."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--models", "unett"), "Did you mean `unet`"),
        (("--data", "mmlz"), "`mmls`"),
        (("--seeds", "1", "--seeds", "1"), "repeats one"),
        (("--set", "training.epoch=2"), "unknown key"),
    ],
)
def test_a_choice_of_a_benchmark_that_does_not_fit(
    command, tmp_path, arguments, message
):
    out = ("--out", tmp_path / "out")
    command.refuses("benchmark", "cas", *arguments, *out, message=message)
    assert not (tmp_path / "out").exists()
