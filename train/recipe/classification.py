"""The section of a recipe that gives whole images a class."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from landslide_tf.choices import Border, Branch, ChannelMode, View

Share = Annotated[float, Field(gt=0, le=1)]


class ClassificationSection(BaseModel):
    """One class for a whole image; a recipe without this section maps pixels."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    branch: Branch = Field(
        "original",
        description="what the network sees: the image, or the image with its saliency "
        "in the hue, saturation or value",
    )
    mode: ChannelMode = Field("replace", description="how saliency enters the channel")
    border: Border = Field("replicate", description="border of the saliency's gradient")
    size: Annotated[int, Field(ge=1)] = Field(
        224, description="side of the network's input, pixels"
    )
    crop_area: tuple[Share, Share] = Field(
        (0.5, 1.0),
        description="smallest and largest share of an image in a random crop",
    )
    view: View = Field(
        "centre",
        description="part that is evaluated: the centre of the image, or the whole "
        "image resized to a square, as in `evidential_net`",
    )
    holdout: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="share of every class of `data.train` that is held out, with seed "
        "0, as validation instead of `data.validation`",
    )

    @field_validator("crop_area")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise PydanticCustomError(
                "crop_area", "Input should be two shares, the smaller first"
            )
        return value
