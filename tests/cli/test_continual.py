"""`landslide-tf continual`: what does not fit, as a user meets it."""

RECIPE = """
description: two regions
source: made up
regions:
  - {name: one, data: synthetic_landslides/tiny}
  - {name: two, data: synthetic_landslides/tiny}
data: {image: [red, green, blue], size: 16}
model: {variant: code, inputs: post, trunk_filters: [4], decoder_filters: [4, 8]}
"""


def test_bad_methods_and_options_are_refused(command, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    out = tmp_path / "out"
    for arguments, message in (
        (("--methods", "tsmuu"), "no method `tsmuu`"),
        (("--seeds", "1", "--seeds", "1"), "different seeds"),
        (("--buffer", "0"), "`buffer` must be above 0"),
        (("--set", "base.epoch=3"), "epoch"),
    ):
        command.refuses(
            "continual", "matrix", path, "--out", out, *arguments, message=message
        )
    command.refuses(
        "continual", "tune", path, "--out", out, "--vary", "x", message="received `x`"
    )
    command.refuses("continual", "matrix", "nowhere", message="nowhere")
    assert not out.exists()
