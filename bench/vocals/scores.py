"""How well a vocal classifier hears: ``dmm bench score-vocals``.

On fresh MiniMIDI with and without its singer, and on what counts: real instrumental music, alone
and with real voices mixed in.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from jaxtyping import Float

from dataset_tools.vocals.classifier import VocalClassifier, load_classifier
from dmm.errors import InputError
from dmm.progress import progress_bar
from dmm.sound.audio import read_audio
from eval.clips import AUDIO_SUFFIXES

from .data import made_of
from .net import SR
from .train import TEST_SEED

CLIP = 81_920
"""5.12 s."""
PER_FILE = 6
SNRS_DB = (6, 0, -6, -12)
THRESHOLDS = (0.5, 0.7, 0.9)


def score_vocals(
    classifier: Annotated[str, typer.Option(help="nano, clap:FOLDER or FILE.onnx.")] = "nano",
    clips: Annotated[int, typer.Option(help="Fresh MiniMIDI pieces, with and without.")] = 300,
    music: Annotated[Path | None, typer.Option(help="Folder of instrumental music.")] = None,
    voices: Annotated[
        Path | None, typer.Option(help="Folder of voices, to be mixed into the music.")
    ] = None,
) -> None:
    """Print a classifier's area under the curve, recall and false alarms as a Markdown table.

    Example: dmm bench score-vocals --music instrumentals --voices speech
    """
    model = load_classifier(classifier)
    if model is None:
        raise InputError(f"classifier {classifier!r} hears nothing; name one, such as nano")
    print(
        "| clips | AUC |" + "".join(f" over {t} |" for t in THRESHOLDS) + "\n|---|---|" + "---|" * 3
    )
    fresh = fresh_clips(clips)
    sung, plain = (model.probabilities(part, SR) for part in fresh)
    _row("MiniMIDI, no singer", plain, None)
    _row("MiniMIDI, singer", sung, plain)
    if music is None:
        return
    played = folder_clips(music)
    alone = model.probabilities(played, SR)
    _row(f"{music.name}, {len(played)} clips", alone, None)
    if voices is not None:
        said = folder_clips(voices)
        for snr_db in SNRS_DB:
            _row(f"with {voices.name}, {snr_db:+d} dB", _mixed(model, said, played, snr_db), alone)


def auc(sung: Float[np.ndarray, " n"], plain: Float[np.ndarray, " m"]) -> float:
    """Chance that a vocal clip is given more than an instrumental one; ties count half.

    >>> auc(np.array([0.9, 0.5]), np.array([0.1, 0.5]))
    0.875
    """
    more, same = sung[:, None] > plain, sung[:, None] == plain
    return float((more + 0.5 * same).mean())


def fresh_clips(
    count: int,
) -> tuple[Float[np.ndarray, "n samples"], Float[np.ndarray, "m samples"]]:
    """Clips with and without a singer, of pieces that trained nothing."""
    sung, plain = [], []
    with progress_bar("sing test", count) as advance:
        for seed in range(TEST_SEED, TEST_SEED + count):
            made = made_of(seed, np.random.default_rng([2047, seed]))
            if len(made.voice) >= CLIP - SR:  # retuned ones may be shorter
                sung.append(np.resize(made.sung, CLIP))
                plain.append(np.resize(made.plain, CLIP))
            advance()
    return np.array(sung), np.array(plain)


def folder_clips(folder: Path) -> Float[np.ndarray, "n samples"]:
    """Up to six clips of every file, evenly spread; near silence is left out."""
    clips = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES):
        sound = read_audio(path, SR, 1)[0]
        for start in np.linspace(0, len(sound) - CLIP, PER_FILE + 2)[1:-1]:
            clip = sound[max(int(start), 0) :][:CLIP]
            if len(clip) == CLIP and np.square(clip).mean() > 1e-6:
                clips.append(clip)
    if not clips:
        raise InputError(f"{folder}: no audio of 5.12 s or more")
    return np.array(clips)


def _mixed(
    model: VocalClassifier,
    voices: Float[np.ndarray, "n samples"],
    music: Float[np.ndarray, "m samples"],
    snr_db: float,
) -> Float[np.ndarray, " n"]:
    """Probabilities of each voice over some music, at a level against it while it speaks."""
    rng = np.random.default_rng(0)
    beside = music[rng.integers(len(music), size=len(voices))]
    frames = np.square(voices.reshape(len(voices), -1, 320)).mean(2)
    speaking = frames > frames.max(1, keepdims=True) / 300
    power = (frames * speaking).sum(1) / speaking.sum(1)
    gain = np.sqrt(np.square(beside).mean(1) / power * 10 ** (snr_db / 10))
    return model.probabilities((beside + gain[:, None] * voices).astype(np.float32), SR)


def _row(name: str, said: Float[np.ndarray, " n"], plain: Float[np.ndarray, " m"] | None) -> None:
    over = "".join(f" {(said > threshold).mean():.3f} |" for threshold in THRESHOLDS)
    print(f"| {name} | {'' if plain is None else f'{auc(said, plain):.3f}'} |{over}")
