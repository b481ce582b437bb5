"""What models reply, as types."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Review(BaseModel):
    """A review of a shop. Its JSON Schema goes to the model; what comes is checked by the class."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=80)
    review: str = Field(min_length=1)
    stars: int = Field(ge=1, le=5)
    liked: list[str]
    """What was liked."""

    @model_validator(mode="after")
    def _good_reviews_say_why(self) -> Review:
        """Check what no schema can say."""
        if self.stars == 5 and not self.liked:
            raise ValueError("five stars need something that was liked")
        return self
