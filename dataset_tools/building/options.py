"""What decides the bytes of a dataset, and the folder that remembers it.

A folder built with other options is refused rather than mixed: half its clips would be cut or
drawn differently. How many tracks there are is no option: a dataset may grow.
"""

import json
import re
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from dmm.codec.mel import load_format
from dmm.errors import InputError
from dmm.files import write_text

from ..augmentation.augment import parse_names
from ..captions.clean import DEFAULT_ANCHOR, check_anchor
from ..layout import BUILD_FOLDER, SPLITS
from ..quality import Limits
from .clip_ids import CLIP_ID
from .hearing import classifier_version, embedder_version

OUR_FILES = re.compile(CLIP_ID + r"(_.+\.npz|\.png|\.txt|\.flac|\.mid)")
"""A clip's files, and the latents that sd-scripts caches beside them."""
PARTIAL_FILES = re.compile(r"\..+\.part(\..+)?")
"""What ``dmm.files.whole_file`` leaves behind when the process is killed."""

CaptionMode = Literal["clean", "reduce"]
VocalMode = Literal["gate", "keep"]
UnsureMode = Literal["reg", "out"]
DEFAULT_CAPTIONS: dict[str, CaptionMode] = {"folder": "clean", "minimidi": "clean"}
"""Sources whose captions the user wrote, or a generator; those of all others are reduced."""
CHOICES: dict[str, tuple[str | None, ...]] = {
    "captions": (None, "clean", "reduce"),
    "vocals": ("gate", "keep"),
    "unsure": ("reg", "out"),
}
MINIMIDI_ONLY = ("instruments", "unseen", "soundfont", "midi", "singers")


@dataclass(frozen=True)
class BuildOptions:
    """All that decides what is built from given tracks; InputError for values that cannot hold."""

    source: str = "folder"
    format: str = "sdxl-512"
    hop_s: float | None = None
    """From one window to the next; None for one clip length, so that windows tile."""
    beats: bool = False
    """Move every window to the first beat after its regular start."""
    stereo: bool = False
    pad: bool = False
    """Extend tracks shorter than one clip with silence instead of refusing them."""
    max_clips_per_track: int | None = None
    """Keep at most so many windows of a track, evenly spread."""
    loudness_lufs: float | None = None
    """Bring every track to this loudness, as far as its peaks allow; None leaves it."""
    max_clipped: float = Limits.max_clipped
    """Share of a window's samples that may lie in runs at full scale."""
    max_silence: float = Limits.max_silence
    """Share of a window that may be silent."""
    max_dc: float = Limits.max_dc
    """Mean of a window's samples, full scale being 1."""
    min_bandwidth_hz: float = Limits.min_bandwidth_hz
    """Refuse windows without energy above this: upsampled or badly compressed sound."""
    duplicates: bool = False
    """Keep clips that sound like a clip of another track."""
    anchor: str = DEFAULT_ANCHOR
    class_words: str | None = None
    """Words before captions of regularisation clips; None for the anchor."""
    repeats: int | None = None
    """How often training clips count in an epoch; None: until all of ``reg/`` is used too."""
    reg_repeats: int = 1
    captions: CaptionMode | None = None
    """``clean``, or ``reduce`` to instruments and descriptors; None: reduce strangers' words."""
    valid_only: bool = False
    """Of Song Describer, only captions that its reviewers found valid."""
    caption_column: str | None = None
    """Column of words in a Hugging Face dataset; None finds it by its name."""
    vocals: VocalMode = "gate"
    """``gate`` keeps vocal tracks out of training, ``keep`` trains on them too."""
    unsure: UnsureMode = "reg"
    """What becomes of tracks that may be vocal."""
    vocal_classifier: str = "nano"
    """Hears voices in windows: ``nano``, ``none``, ``clap:FOLDER`` or an .onnx file."""
    check_captions: str | None = None
    """Embedder that weighs captions against the sound: ``nano-clap`` or ``clap:FOLDER``."""
    augment: tuple[str, ...] = ()
    """Names of augmentations; every training clip then also comes in augmented copies."""
    copies: int = 1
    """Augmented copies of a clip."""
    seed: int = 0
    """Decides the splits, augmentations, and what generators make."""
    val: float = 0.1
    test: float = 0.1
    """Shares of the groups of tracks; the rest is for training."""
    holdout_combos: int = 0
    """Keep this many of the rarest combinations of instruments for the test split."""
    licence: str | None = None
    styles: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    """Instruments that play in every MiniMIDI piece."""
    unseen: bool = False
    """MiniMIDI composes for the pairs of instruments that are kept for testing, no others."""
    soundfont: Path | None = None
    """SoundFont that plays MiniMIDI's pieces; what counts is its content, not its name."""
    midi: bool = False
    """Write every MiniMIDI piece as a MIDI file beside its image."""
    singers: float = 0.0
    """Share of MiniMIDI's pieces with a voice."""
    reg_minimidi: int = 0
    """So many MiniMIDI pieces in the base styles as regularisation: what nano should not forget."""

    def __post_init__(self) -> None:
        check_anchor(self.anchor)
        check_anchor(self.class_words or "")
        if self.source != "minimidi" and (asked := [n for n in MINIMIDI_ONLY if getattr(self, n)]):
            option = asked[0].replace("_", "-")
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
    def reduces_captions(self) -> bool:
        """Whether captions are cut down to instruments and descriptors."""
        return (self.captions or DEFAULT_CAPTIONS.get(self.source, "reduce")) == "reduce"

    @property
    def limits(self) -> Limits:
        """What a window may be and still be kept."""
        return Limits(
            max_clipped=self.max_clipped,
            max_dc=self.max_dc,
            max_silence=1.0 if self.pad else self.max_silence,  # padding is silent
            min_bandwidth_hz=self.min_bandwidth_hz,
        )

    def words_before(self, place: str) -> str:
        """The words before every caption of a folder."""
        words = self.class_words if place == "reg" else None
        return (self.anchor if words is None else words).strip()

    @cached_property
    def soundfont_sha256(self) -> str | None:
        """Hash of the SoundFont, or InputError if it cannot be played here."""
        from ..sources.minimidi.soundfont import check_soundfont

        return check_soundfont(self.soundfont) if self.soundfont else None

    @cached_property
    def hearing(self) -> dict[str, str | None]:
        """Versions of the classifier and the embedder that listen; the records depend on them."""
        return {
            "vocal_classifier": classifier_version(self.vocal_classifier),
            "check_captions": embedder_version(self.check_captions),
        }

    def resolved(self) -> dict[str, Any]:
        """As JSON values: the mel format in full, SoundFont and what listens as hashes."""
        return dict(self._resolved)

    @cached_property
    def _resolved(self) -> dict[str, Any]:
        values = asdict(self) | {"soundfont": self.soundfont_sha256} | self.hearing
        return json.loads(json.dumps(values)) | {"format": load_format(self.format).model_dump()}


def claim_folder(out: Path, options: BuildOptions, *, force: bool) -> None:
    """Make ``out`` ours to build in, or raise InputError naming the way out.

    ``force`` throws away what an earlier build left there; a folder that holds anything else and
    no dataset of ours is refused all the same.
    """
    recorded = out / BUILD_FOLDER / "options.json"
    if out.exists() and (not out.is_dir() or any(p.name != BUILD_FOLDER for p in out.iterdir())):
        if not recorded.exists():
            raise InputError(f"{out} is in use and no dataset of ours; name another folder (--out)")
        if not force:
            _refuse_changes(out, json.loads(recorded.read_text("utf-8")), options.resolved())
    if force:
        discard(out)
    write_text(recorded, json.dumps(options.resolved(), indent=1) + "\n")


def _refuse_changes(out: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    old = BuildOptions().resolved() | old  # built before some of the options were there
    changed = [name for name in new if old[name] != new[name]]
    if changed:
        name = changed[0]
        before, now = (
            (x.get("name") if isinstance(x, dict) else x) for x in (old[name], new[name])
        )
        raise InputError(
            f"{out} was built with {name} {before!r}, now it is {now!r}; "
            "build in another folder, or --force to throw that dataset away"
        )


def discard(out: Path) -> None:
    """Remove what earlier builds wrote to ``out``, and nothing else."""
    remove_strays(out, keep=set())
    (out / "dataset.json").unlink(missing_ok=True)
    for path in sorted((out / BUILD_FOLDER).glob("*")):
        path.unlink()


def remove_strays(out: Path, keep: set[str]) -> None:
    """Remove clips' files whose clip id is not in ``keep``, and files left half-written.

    sd-scripts trains on every image in a folder, so what is no longer in the manifest must go;
    files that do not bear a clip's name are left alone.
    """
    for folder in [out, out / BUILD_FOLDER, *(out / place for place in SPLITS)]:
        for path in folder.iterdir() if folder.is_dir() else ():
            if PARTIAL_FILES.fullmatch(path.name):
                path.unlink()
            elif OUR_FILES.fullmatch(path.name):
                clip = re.match(r"[^_.]+", path.name)
                if clip and f"{folder.name}/{clip[0]}" not in keep:
                    path.unlink()
