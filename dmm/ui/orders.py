"""What the page may ask for: checked here, once, and plain values from here on."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_CLIPS = 256
"""Of one order; it can be given again."""
Prompt = Annotated[str, Field(min_length=1, max_length=1000)]
ClipId = Annotated[str, Field(min_length=1, max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LoraChoice(_Body):
    """A LoRA by the name that the page was given, and how strongly it counts."""

    name: str
    weight: float = Field(1.0, ge=-4, le=4)


class ClipsOrder(_Body):
    """Clips to make; what is None is as the model and its LoRAs say."""

    prompts: list[Prompt] = Field(min_length=1, max_length=64)
    count: int = Field(1, ge=1, le=64)
    """Clips of every prompt."""
    seed: int = Field(0, ge=0, lt=2**53)
    """Of the first clip; they count up."""
    model: str
    loras: list[LoraChoice] = Field(default=[], max_length=8)
    format: str | None = None
    anchor: str | None = Field(None, max_length=200)
    negative_prompt: str = Field("", max_length=1000)
    sampler: str
    steps: int = Field(ge=1, le=200)
    guidance: float = Field(ge=1, le=30)
    replace: bool = False
    """Make clips anew whose ID is there with other settings."""

    @model_validator(mode="after")
    def _within_reason(self) -> "ClipsOrder":
        if (total := len(self.prompts) * self.count) > MOST_CLIPS:
            raise ValueError(f"{total} clips at once; {MOST_CLIPS} at most")
        return self


class Timeline(_Body):
    """Clips in the order in which they are heard."""

    clips: list[ClipId] = Field(max_length=1000)
    overlap_s: float = Field(ge=0, le=4)


class SongOrder(Timeline):
    """A timeline to join into one piece."""

    name: str = Field("song", max_length=60)
    type: Literal["flac", "wav", "mp3"] = "flac"
    align: bool = True
    """Let beats meet, by overlaps up to half a beat longer or shorter."""
    loop: bool = False
