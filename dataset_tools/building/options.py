"""The options of a dataset build: everything besides its tracks that decides the files' bytes."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from dmm.choices import DEFAULT_FORMAT
from dmm.codec.mel import load_format
from dmm.errors import InputError
from dmm.files import parse_json

from ..augmentation.names import parse_augmentations
from ..captions.clean import DEFAULT_ANCHOR, check_anchor
from ..choices import CaptionMode, UnsureMode, VocalMode
from ..limits import Limits
from .audio_models import classifier_version, embedder_version

DEFAULT_CAPTIONS: dict[str, CaptionMode] = {"folder": "clean", "minimidi": "clean"}
"""Default of ``captions`` by source: the user or a generator wrote these captions; all other
sources' captions are reduced."""
CHOICES: dict[str, tuple[str | None, ...]] = {
    "captions": (None, *get_args(CaptionMode)),
    "vocals": get_args(VocalMode),
    "unsure": get_args(UnsureMode),
}
"""Option: the values it may have."""
MINIMIDI_ONLY = ("styles", "instruments", "unseen", "soundfont", "midi", "singers", "mixed_players")
"""Options that only the source ``minimidi`` has."""
LATER_OPTIONS = ("describe", "mixed_players")
"""Options that older datasets lack; recorded only where used, so that such a build continues."""


@dataclass(frozen=True)
class BuildOptions:
    """Options that decide how tracks become a dataset; InputError for invalid values.

    A track is cut into windows of one clip length; a window that is not refused becomes a clip.
    """

    source: str = "folder"
    format: str = DEFAULT_FORMAT
    """Mel format of the clips."""
    hop_s: float | None = None
    """Seconds from the beginning of one window to the next; None for one clip length."""
    beats: bool = False
    """Begin every window at the first beat after its regular start."""
    stereo: bool = False
    """Make stereo clips, whose images hold mid and side, instead of mono ones."""
    pad: bool = False
    """Extend tracks shorter than one clip with silence instead of refusing them."""
    max_clips_per_track: int | None = None
    """Largest number of clips per track, evenly spread over it; None keeps all."""
    loudness_lufs: float | None = None
    """Loudness of every track (LUFS), as far as its peaks allow; None changes nothing."""
    max_clipped: float = Limits.max_clipped
    """Largest share of a window's samples that may be clipped, 0..1."""
    max_silence: float = Limits.max_silence
    """Largest share of a window that may be silent, 0..1."""
    max_dc: float = Limits.max_dc
    """Largest absolute mean of a window's samples; full scale is 1."""
    min_bandwidth_hz: float = Limits.min_bandwidth_hz
    """Lowest bandwidth (Hz) of a window: less means upsampled or strongly compressed audio."""
    duplicates: bool = False
    """Keep clips that sound like a clip of another track."""
    anchor: str = DEFAULT_ANCHOR
    """Words at the start of every caption, also in prompts for generation."""
    class_words: str | None = None
    """Words at the start of regularisation captions instead of the anchor; None for the anchor."""
    repeats: int | None = None
    """Repeats of training clips per epoch; None: enough to use every regularisation clip."""
    reg_repeats: int = 1
    """Repeats of regularisation clips per epoch."""
    captions: CaptionMode | None = None
    """``clean``, or ``reduce`` to instruments and descriptors; None for the source's default."""
    valid_only: bool = False
    """Take only captions of Song Describer that its reviewers found valid."""
    caption_column: str | None = None
    """Column of captions in a Hugging Face dataset; None finds it by its name."""
    vocals: VocalMode = "gate"
    """``gate`` makes tracks with a voice regularisation clips; ``keep`` trains on them."""
    unsure: UnsureMode = "reg"
    """Whether tracks that may have a voice become regularisation clips or are left out."""
    vocal_classifier: str = "nano"
    """Classifier of a voice in windows: ``nano``, ``none``, ``clap:FOLDER`` or an .onnx file."""
    describe: str | None = None
    """Embedder that describes tracks by their sound; the descriptions become missing captions."""
    caption_embedder: str | None = None
    """Embedder that compares captions with the audio (``--check-captions``): ``nano-clap`` or
    ``clap:FOLDER``; None compares nothing."""
    augment: tuple[str, ...] = ()
    """Names of augmentations; with at least one, every training clip gets augmented copies."""
    copies: int = 1
    """Number of augmented copies of each training clip."""
    seed: int = 0
    """Seed of the splits, the augmentations and generated pieces."""
    val: float = 0.1
    """Share of the groups of related tracks in the split for validation."""
    test: float = 0.1
    """Share of the groups of related tracks in the split for testing."""
    holdout_combos: int = 0
    """Number of the rarest combinations of instruments that only the test split has."""
    licence: str | None = None
    """Licence of tracks that state none."""
    styles: tuple[str, ...] = ()
    """MiniMIDI's styles; empty for its base styles."""
    instruments: tuple[str, ...] = ()
    """Instruments that play in every MiniMIDI piece."""
    unseen: bool = False
    """MiniMIDI composes only for pairs of instruments that it otherwise never combines."""
    soundfont: Path | None = None
    """SoundFont that plays MiniMIDI's pieces; identified by its content, not its name."""
    midi: bool = False
    """Write every MiniMIDI piece as a MIDI file beside its image."""
    singers: float = 0.0
    """Share of MiniMIDI's pieces with a voice."""
    mixed_players: float = 0.0
    """Share of MiniMIDI's pieces whose instruments come from all base styles."""
    reg_minimidi: int = 0
    """Number of MiniMIDI pieces added as regularisation clips: nano forgets less in training."""

    def __post_init__(self) -> None:
        check_anchor(self.anchor)
        check_anchor(self.class_words or "")
        if self.source != "minimidi" and (given := [n for n in MINIMIDI_ONLY if getattr(self, n)]):
            option = given[0].replace("_", "-")
            raise InputError(f"--{option} is for --source minimidi, not for {self.source!r}")
        if min(self.val, self.test) < 0 or self.val + self.test > 1:
            raise InputError(
                f"val {self.val} and test {self.test} must be 0 or more, at most 1 in all"
            )
        if self.hop_s is not None and self.hop_s * load_format(self.format).sr < 1:
            raise InputError(f"a hop of {self.hop_s} s is less than one sample; use a larger --hop")
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                words = ", ".join(str(word) for word in known if word)
                raise InputError(f"no {name} {value!r}; known: {words}")
        if self.describe and self.caption_embedder not in (None, self.describe):
            raise InputError(
                f"--describe {self.describe} compares captions with the sound too; leave out "
                f"--check-captions {self.caption_embedder}"
            )
        parse_augmentations(",".join(self.augment))

    @property
    def embedder(self) -> str | None:
        """Embedder of the clips, to describe them or to check their captions."""
        return self.describe or self.caption_embedder

    @property
    def reduces_to_descriptors(self) -> bool:
        """Whether captions are reduced to instruments and descriptors."""
        return (self.captions or DEFAULT_CAPTIONS.get(self.source, "reduce")) == "reduce"

    @property
    def quality_limits(self) -> Limits:
        """Limits that every window must keep; with ``pad`` it may be silent."""
        return Limits(
            max_clipped=self.max_clipped,
            max_dc=self.max_dc,
            max_silence=1.0 if self.pad else self.max_silence,  # padding is silent
            min_bandwidth_hz=self.min_bandwidth_hz,
        )

    def anchor_for_split(self, split: str) -> str:
        """The words at the start of every caption of a split."""
        words = self.class_words if split == "reg" else None
        return (self.anchor if words is None else words).strip()

    @cached_property
    def soundfont_sha256(self) -> str | None:
        """Hash of the SoundFont; None without one, InputError if it cannot be played here."""
        from ..sources.minimidi.soundfont import checked_soundfont_sha256

        return checked_soundfont_sha256(self.soundfont) if self.soundfont else None

    @cached_property
    def classifier_and_embedder_versions(self) -> dict[str, str | None]:
        """Versions of the classifier and the embedder, by their command-line options."""
        return {
            "vocal_classifier": classifier_version(self.vocal_classifier),
            "check_captions": embedder_version(self.caption_embedder),
            **({"describe": embedder_version(self.describe)} if self.describe else {}),
        }

    def resolved_json(self) -> dict[str, Any]:
        """All options as JSON values, with the whole mel format and hashes of other files."""
        return dict(self._cached_json)

    @cached_property
    def _cached_json(self) -> dict[str, Any]:
        recorded = {"caption_embedder": "check_captions"}  # as on the command line
        values = {recorded.get(name, name): value for name, value in asdict(self).items()}
        for name in LATER_OPTIONS:
            if not values[name]:
                del values[name]
        values |= {"soundfont": self.soundfont_sha256} | self.classifier_and_embedder_versions
        plain: dict[str, Any] = parse_json(json.dumps(values), "options")
        return plain | {"format": load_format(self.format).model_dump()}


def default_values() -> dict[str, Any]:
    """Defaults of all options as JSON values, also of those recorded only where they are used."""
    defaults = BuildOptions()
    later = {name: getattr(defaults, name) for name in LATER_OPTIONS}
    return later | defaults.resolved_json()
