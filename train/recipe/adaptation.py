"""The part of a recipe that adapts a network to a region without labels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Selection = Literal["last", "entropy", "target_iou"]


class AdaptationSection(BaseModel):
    """Adversarial adaptation; `training.batch_size` is that of each region."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    target: str = Field(
        description="`name[/config][:split]` of the region to adapt to, by default its "
        "`train`; labels are not looked at"
    )
    validation: str | None = Field(
        None,
        description="split of the target whose maps are watched, without labels; None "
        "is the one that is trained with",
    )
    arrays: str | None = Field(
        None, description="folder of exported arrays of the target; None reads TFDS"
    )
    aux_layer: str | None = Field(
        None,
        description="layer whose output a second classifier and its own discriminator "
        "see; None adapts the output alone",
    )
    aux_segmentation: NonNegative = Field(
        0.5, description="weight of the second classifier's segmentation loss"
    )
    weight: NonNegative = Field(0.01, description="weight of deceiving on the output")
    aux_weight: NonNegative = Field(
        0.002, description="weight of deceiving with the second classifier"
    )
    game: Literal["cross_entropy", "least_squares"] = Field(
        "cross_entropy", description="loss of the discriminators and against them"
    )
    label_noise: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.3, description="how far the discriminators' labels are drawn off 0 and 1"
    )
    learning_rate: Annotated[float, Field(gt=0)] = Field(
        1e-4, description="of the discriminators' Adam; follows the schedule"
    )
    filters: Count = Field(64, description="channels of their first layer")
    kernel_initializer: Literal["he_normal", "glorot_uniform"] = Field(
        "he_normal", description="how their kernels start"
    )
    freeze_affine: bool = Field(
        False,
        description="batch norms keep scale and shift; their statistics still move",
    )
    rate_of_generator: bool = Field(
        False,
        description="as ADANet's released trainer: discriminators run at the network's "
        "learning rate and `learning_rate` is ignored",
    )
    inference_after: Count | None = Field(
        None,
        description="as ADANet's released trainer, where it is 1000: steps after which "
        "the network trains without dropout and with fixed batch norm statistics, to "
        "the end of the epoch",
    )
    oracle: bool = Field(
        False,
        description="look at the target's validation labels, for comparison only: the "
        "result is no longer unsupervised and says so",
    )
    select: Selection = Field(
        "last",
        description="which epoch is kept: the last; the surest on the target among "
        "those that are good on the source; or the best on the target (`oracle`)",
    )

    @field_validator("select")
    @classmethod
    def _needs_oracle(cls, value: str, info: ValidationInfo) -> str:
        if value == "target_iou" and not info.data.get("oracle"):
            raise PydanticCustomError(
                "oracle",
                "labels of the target need `adaptation.oracle: true`",
            )
        return value

    def facts(self) -> dict[str, Any]:
        """Returns what readers of a model have to know, as JSON values."""
        return {"target": self.target, "select": self.select, "oracle": self.oracle}
