"""The options of a dataset build: everything, besides its tracks, that decides the bytes."""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from dmm.choices import DEFAULT_FORMAT
from dmm.codec.mel import load_format
from dmm.errors import InputError

from ..augmentation.augment import parse_names
from ..captions.clean import DEFAULT_ANCHOR, check_anchor
from ..choices import CaptionMode, UnsureMode, VocalMode
from ..quality import Limits
from .audio_models import classifier_version, embedder_version

DEFAULT_CAPTIONS: dict[str, CaptionMode] = {"folder": "clean", "minimidi": "clean"}
"""Sources whose captions the user or a generator wrote; captions of all others are reduced."""
CHOICES: dict[str, tuple[str | None, ...]] = {
    "captions": (None, *get_args(CaptionMode)),
    "vocals": get_args(VocalMode),
    "unsure": get_args(UnsureMode),
}
"""Option: the values it may have."""
MINIMIDI_ONLY = ("styles", "instruments", "unseen", "soundfont", "midi", "singers")
"""Options that only the source ``minimidi`` has."""


@dataclass(frozen=True)
class BuildOptions:
    """Options that decide how tracks become a dataset; InputError for values not allowed."""

    source: str = "folder"
    format: str = DEFAULT_FORMAT
    """Mel format of the clips."""
    hop_s: float | None = None
    """Seconds from the beginning of one window to the next; None for one clip length."""
    beats: bool = False
    """Move every window to the first beat after its regular start."""
    stereo: bool = False
    """Make stereo clips, whose images hold mid and side, instead of mono ones."""
    pad: bool = False
    """Extend tracks shorter than one clip with silence instead of refusing them."""
    max_clips_per_track: int | None = None
    """Most windows to keep of a track, evenly spread over it; None keeps all."""
    loudness_lufs: float | None = None
    """Loudness to bring every track to, as far as its peaks allow; None leaves it as it is."""
    max_clipped: float = Limits.max_clipped
    """Largest share of a window's samples in runs at full scale, 0..1."""
    max_silence: float = Limits.max_silence
    """Largest share of a window that may be silent, 0..1."""
    max_dc: float = Limits.max_dc
    """Largest absolute mean of a window's samples; full scale is 1."""
    min_bandwidth_hz: float = Limits.min_bandwidth_hz
    """Refuse windows without energy above this: upsampled or strongly compressed sound."""
    duplicates: bool = False
    """Keep clips that sound like a clip of another track."""
    anchor: str = DEFAULT_ANCHOR
    """Words before every caption."""
    class_words: str | None = None
    """Words before the captions of regularisation clips; None for the anchor."""
    repeats: int | None = None
    """Repeats of the training clips in an epoch; None: as many as use every regularisation clip."""
    reg_repeats: int = 1
    captions: CaptionMode | None = None
    """``clean``, or ``reduce`` to instruments and descriptors; None: ``DEFAULT_CAPTIONS``."""
    valid_only: bool = False
    """Take only captions of Song Describer that its reviewers found valid."""
    caption_column: str | None = None
    """Column of captions in a Hugging Face dataset; None finds it by its name."""
    vocals: VocalMode = "gate"
    """``gate`` keeps vocal tracks out of training, ``keep`` trains on them too."""
    unsure: UnsureMode = "reg"
    """Whether tracks that may be vocal become regularisation or are left out."""
    vocal_classifier: str = "nano"
    """Classifier of voices in windows: ``nano``, ``none``, ``clap:FOLDER`` or an .onnx file."""
    caption_embedder: str | None = None
    """Embedder that compares captions with the sound: ``nano-clap`` or ``clap:FOLDER``."""
    augment: tuple[str, ...] = ()
    """Augmentations; with any, every training clip gets augmented copies."""
    copies: int = 1
    """Number of augmented copies of each training clip."""
    seed: int = 0
    """Decides the splits, the augmentations, and what generators make."""
    val: float = 0.1
    test: float = 0.1
    """Shares of the groups of tracks for validation and testing; the others are for training."""
    holdout_combos: int = 0
    """How many of the rarest combinations of instruments are kept for the test split."""
    licence: str | None = None
    """Licence of tracks that name none."""
    styles: tuple[str, ...] = ()
    """MiniMIDI's styles; empty for its base styles."""
    instruments: tuple[str, ...] = ()
    """Instruments that play in every MiniMIDI piece."""
    unseen: bool = False
    """MiniMIDI composes only for the pairs of instruments that are kept for testing."""
    soundfont: Path | None = None
    """SoundFont that plays MiniMIDI's pieces; identified by its content, not its name."""
    midi: bool = False
    """Write every MiniMIDI piece as a MIDI file beside its image."""
    singers: float = 0.0
    """Share of MiniMIDI's pieces with a voice."""
    reg_minimidi: int = 0
    """Number of MiniMIDI pieces added as regularisation, so that nano does not forget them."""

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
        parse_names(",".join(self.augment))

    @property
    def reduces_to_descriptors(self) -> bool:
        """Whether captions are reduced to instruments and descriptors."""
        return (self.captions or DEFAULT_CAPTIONS.get(self.source, "reduce")) == "reduce"

    @property
    def quality_limits(self) -> Limits:
        """Limits that a window must keep."""
        return Limits(
            max_clipped=self.max_clipped,
            max_dc=self.max_dc,
            max_silence=1.0 if self.pad else self.max_silence,  # padding is silent
            min_bandwidth_hz=self.min_bandwidth_hz,
        )

    def anchor_for_split(self, split: str) -> str:
        """The words before every caption of a split."""
        words = self.class_words if split == "reg" else None
        return (self.anchor if words is None else words).strip()

    @cached_property
    def soundfont_sha256(self) -> str | None:
        """Hash of the SoundFont; InputError if it cannot be played here."""
        from ..sources.minimidi.soundfont import checked_soundfont_sha256

        return checked_soundfont_sha256(self.soundfont) if self.soundfont else None

    @cached_property
    def classifier_and_embedder_versions(self) -> dict[str, str | None]:
        """Versions of the classifier and the embedder; the records depend on them."""
        return {
            "vocal_classifier": classifier_version(self.vocal_classifier),
            "check_captions": embedder_version(self.caption_embedder),
        }

    def resolved(self) -> dict[str, Any]:
        """Options as JSON values: the mel format in full, SoundFont and networks as hashes."""
        return dict(self._resolved)

    @cached_property
    def _resolved(self) -> dict[str, Any]:
        values = asdict(self) | {"soundfont": self.soundfont_sha256}
        del values["caption_embedder"]  # recorded as ``check_captions``, its command-line option
        values |= self.classifier_and_embedder_versions
        return json.loads(json.dumps(values)) | {"format": load_format(self.format).model_dump()}
