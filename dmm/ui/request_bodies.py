"""Request bodies of the page's API, validated by pydantic."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_CLIPS = 256
"""Most clips of one request."""
Prompt = Annotated[str, Field(min_length=1, max_length=1000)]
ClipId = Annotated[str, Field(min_length=1, max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LoraChoice(_Body):
    """A LoRA, by its key in ``ModelLibrary.loras``, and its weight."""

    name: str
    weight: float = Field(1.0, ge=-4, le=4)


class ClipsBody(_Body):
    """Clips to generate; None takes format and anchor from the LoRAs' or model's metadata."""

    prompts: list[Prompt] = Field(min_length=1, max_length=64)
    count: int = Field(1, ge=1, le=64)
    """Clips of every prompt."""
    seed: int = Field(0, ge=0, lt=2**53)
    """Seed of the first clip; seeds count up."""
    model: str
    loras: list[LoraChoice] = Field(default=[], max_length=8)
    format: str | None = None
    anchor: str | None = Field(None, max_length=200)
    negative_prompt: str = Field("", max_length=1000)
    sampler: str
    steps: int = Field(ge=1, le=200)
    guidance: float = Field(ge=1, le=30)
    replace: bool = False
    """Replace clips of the same ID that have other settings."""

    @model_validator(mode="after")
    def _check_clip_count(self) -> "ClipsBody":
        if (total := len(self.prompts) * self.count) > MOST_CLIPS:
            raise ValueError(f"{total} clips at once; {MOST_CLIPS} at most")
        return self


class VariationsBody(_Body):
    """Variations of a clip to generate, as by ``dmm generate --variations``."""

    clip: ClipId
    count: int = Field(4, ge=1, le=64)
    strength: float = Field(0.2, ge=0, le=1)


class ClipBody(_Body):
    """A clip to delete or to restore."""

    clip: ClipId


class FavouriteBody(ClipBody):
    """A clip that is to become a favourite, or no longer one."""

    is_favourite: bool


class TimelineBody(_Body):
    """Clips in the order they are played."""

    clips: list[ClipId] = Field(max_length=1000)
    overlap_s: float = Field(ge=0, le=4)


class SongBody(TimelineBody):
    """A timeline to join into one song."""

    name: str = Field("song", max_length=60)
    type: Literal["flac", "wav", "mp3"] = "flac"
    align: bool = True
    """Change overlaps by up to half a beat, so that beats coincide."""
    loop: bool = False
