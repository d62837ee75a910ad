"""The part of a recipe that adapts a network to a region without labels."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from landslide_tf.choices import Game

NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Selection = Literal["last", "entropy", "target_iou"]


class AdaptationSection(BaseModel):
    """Adversarial adaptation; `training.batch_size` is that of each region."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    target: str = Field(
        description="`name[/config][:split]` of the region to adapt to, by default its "
        "`train`; its labels are not used"
    )
    validation: str | None = Field(
        None,
        description="split of the target whose maps are monitored, without labels; "
        "None is the one that is trained with",
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
    weight: NonNegative = Field(
        0.01, description="weight of the adversarial loss on the output"
    )
    aux_weight: NonNegative = Field(
        0.002, description="weight of the adversarial loss on the second classifier"
    )
    game: Game = Field("cross_entropy", description="form of the adversarial loss")
    label_noise: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.3,
        description="largest random offset of the discriminators' labels from 0 and 1",
    )
    learning_rate: Annotated[float, Field(gt=0)] = Field(
        1e-4,
        description="learning rate of the discriminators' Adam; follows the schedule",
    )
    filters: Count = Field(
        64, description="channels of the discriminators' first layer"
    )
    kernel_initializer: Literal["he_normal", "glorot_uniform"] = Field(
        "he_normal", description="initialiser of the discriminators' kernels"
    )
    freeze_affine: bool = Field(
        False,
        description="freeze scale and shift of batch norms; their statistics still "
        "change",
    )
    rate_of_generator: bool = Field(
        False,
        description="as in ADANet's released trainer: discriminators use the network's "
        "learning rate and `learning_rate` is ignored",
    )
    inference_after: Count | None = Field(
        None,
        description="as in ADANet's released trainer, where it is 1000: steps after "
        "which the network trains without dropout and with fixed batch norm "
        "statistics, to the end of the epoch",
    )
    oracle: bool = Field(
        False,
        description="use the target's validation labels, for comparison only: the "
        "result is no longer unsupervised and says so",
    )
    select: Selection = Field(
        "last",
        description="epoch to keep: the last; the most certain on the target among "
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
