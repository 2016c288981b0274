"""The nano-CLAP network: embeddings of audio and captions, and classifiers of musical attributes.

Audio and text share one space, as in CLAP (https://arxiv.org/abs/2206.04769). The weights file
holds the labels and the vocabulary too. ``dmm bench train-listener`` trains it.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from dmm.errors import ModelError
from dmm.files import parse_json, whole_file
from dmm.model_cards import sha256_of, verify_against_card

from .audio_encoders import KeyClassifier, RhythmEncoder, TimbreEncoder
from .spectrograms import Spectrograms, spectrograms_of

SHIPPED = Path(__file__).parents[2] / "models" / "nano-clap" / "nano-clap.safetensors"
DIM = 128
MAX_WORDS = 48
PAD, START = 0, 1
"""Ids of padding and of the start token; a caption without known words is START alone."""
BATCH = 32
"""Windows per forward pass."""


@dataclass(frozen=True)
class Labels:
    """Labels of each output, and the vocabulary of captions."""

    instruments: tuple[str, ...]
    drums: tuple[str, ...]
    """``NO_DRUMS``, then the kits."""
    tempos: tuple[str, ...]
    keys: tuple[str, ...]
    """"C major" .. "B major", "C minor" .. "B minor"."""
    styles: tuple[str, ...]
    words: tuple[str, ...]


class Predictions(NamedTuple):
    """Logits or probabilities for each list of labels, and an embedding (unit, if of a window)."""

    moments: Float[Tensor, "n 16 instruments"]
    """Instruments in each sixteenth of the window; an auxiliary training target."""
    instruments: Float[Tensor, "n instruments"]
    drums: Float[Tensor, "n drums"]
    tempo: Float[Tensor, "n tempos"]
    key: Float[Tensor, "n keys"]
    style: Float[Tensor, "n styles"]
    embedding: Float[Tensor, "n 128"]


def split_words(text: str) -> list[str]:
    """Lower-case words in order; sharps and inner hyphens are part of a word.

    >>> split_words("Lo-fi piano, 84 bpm, C# minor")
    ['lo-fi', 'piano', '84', 'bpm', 'c#', 'minor']
    """
    return re.findall(r"[a-z0-9#]+(?:-[a-z0-9]+)*", text.lower())


class Listener(nn.Module):
    """Audio encoders, attribute classifiers and a caption encoder.

    Attributes are named as the tensors of the weights file.
    """

    def __init__(self, labels: Labels) -> None:
        super().__init__()
        self.labels = labels
        self.timbre_ear = TimbreEncoder()
        self.rhythm_ear = RhythmEncoder()
        self.harmony_ear = KeyClassifier()
        timbre = 2 * TimbreEncoder.width
        with_rhythm = timbre + RhythmEncoder.width
        with_key = with_rhythm + len(labels.keys)
        self.moments = nn.Linear(TimbreEncoder.width, len(labels.instruments))
        self.instruments = nn.Linear(timbre, len(labels.instruments))
        self.drums = nn.Linear(timbre, len(labels.drums))
        self.tempo = nn.Linear(with_rhythm, len(labels.tempos))
        self.style = nn.Linear(with_key, len(labels.styles))
        self.project = nn.Sequential(nn.Linear(with_key, 256), nn.ReLU(), nn.Linear(256, DIM))
        self.reader = CaptionEncoder(len(labels.words))
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def forward(
        self, timbre: Float[Tensor, "n 128 256"], pitch: Float[Tensor, "n 216 48"]
    ) -> Predictions:
        """Logits and embeddings of windows; inputs are ``Spectrograms`` arrays divided by 255."""
        features = self.timbre_ear(timbre)
        with_rhythm = torch.cat([features.pooled, self.rhythm_ear(timbre)], 1)
        key = self.harmony_ear(pitch)
        with_key = torch.cat([with_rhythm, key.softmax(1)], 1)
        return Predictions(
            moments=self.moments(features.moments),
            instruments=self.instruments(features.pooled),
            drums=self.drums(features.pooled),
            tempo=self.tempo(with_rhythm),
            key=key,
            style=self.style(with_key),
            embedding=F.normalize(self.project(with_key).float(), dim=1),
        )

    def clip_probabilities(self, clips: Iterable[Float[np.ndarray, "_"]]) -> Predictions:
        """Probabilities and embeddings of mono clips at ``spectrograms.SR``, of any length.

        Each is the mean over the clip's windows, so an embedding may be shorter than 1.
        """
        spectrograms = [spectrograms_of(clip) for clip in clips]
        windows = logits_to_probabilities(
            self.window_logits(Spectrograms.concatenate(spectrograms))
        )
        counts = [len(clip_windows) for clip_windows in spectrograms]
        return Predictions(*(torch.stack([w.mean(0) for w in x.split(counts)]) for x in windows))

    def window_logits(self, windows: Spectrograms) -> Predictions:
        """Logits and embeddings of any number of windows, without gradients."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(windows), BATCH):
                rows = slice(start, start + BATCH)
                timbre = torch.from_numpy(windows.timbre[rows]) / 255
                parts.append(self(timbre, torch.from_numpy(windows.pitch[rows]) / 255))
        return Predictions(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def embed_tokens(self, tokens: Int[Tensor, "n words"]) -> Float[Tensor, "n 128"]:
        """Unit rows for token ids of ``tokenize``."""
        return F.normalize(self.reader(tokens).float(), dim=1)

    def tokenize(self, texts: Sequence[str]) -> Int[Tensor, "n words"]:
        """Token ids: START and at most 47 known words, padded to the longest row."""
        number = {word: i + 2 for i, word in enumerate(self.labels.words)}
        rows = [[START, *(number[w] for w in split_words(t) if w in number)] for t in texts]
        rows = [torch.tensor(row[:MAX_WORDS]) for row in rows]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def logits_to_probabilities(answers: Predictions) -> Predictions:
    """Logits to probabilities: sigmoid for instruments, softmax for the other attributes."""
    classes = {
        name: getattr(answers, name).softmax(1) for name in ("drums", "tempo", "key", "style")
    }
    return answers._replace(
        moments=answers.moments.sigmoid(), instruments=answers.instruments.sigmoid(), **classes
    )


class CaptionEncoder(nn.Module):
    """One transformer layer over tokens, their mean without padding, and a linear layer."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words + 2, DIM)
        self.places = nn.Parameter(0.02 * torch.randn(MAX_WORDS, DIM))
        self.layer = nn.TransformerEncoderLayer(DIM, 4, 256, 0.0, batch_first=True, norm_first=True)
        self.out = nn.Linear(DIM, DIM)

    def forward(self, tokens: Int[Tensor, "n words"]) -> Float[Tensor, "n 128"]:
        """One vector a caption, not normalised."""
        is_pad = tokens == PAD
        x = self.words(tokens) + self.places[: tokens.shape[1]]
        x = self.layer(x, src_key_padding_mask=is_pad)
        kept = (~is_pad).float()[..., None]
        return self.out((x * kept).sum(1) / kept.sum(1))


def save_listener(path: Path, listener: Listener) -> None:
    """Write the weights in half precision, with the labels in the file's metadata."""
    from safetensors.torch import save_file

    tensors = {k: v.detach().half().contiguous() for k, v in listener.state_dict().items()}
    with whole_file(path) as partial:
        save_file(tensors, partial, metadata={"labels": json.dumps(asdict(listener.labels))})


def load_listener(path: Path | None = None) -> tuple[Listener, str]:
    """Load the shipped network, or that of a file or folder; returns it and the file's SHA-256.

    ModelError if the file is missing, differs from the hash on its model card, or is not nano-CLAP.
    """
    path = path or SHIPPED
    path = path / SHIPPED.name if path.is_dir() else path
    verify_against_card(path)
    sha256 = sha256_of(path)
    return _load_cached(path, sha256), sha256


@cache
def _load_cached(path: Path, sha256: str) -> Listener:
    """Load a file once per process and hash."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            found = parse_json(file.metadata()["labels"], path, error=ModelError)
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
        labels = Labels(**{name: tuple(values) for name, values in found.items()})
        listener = Listener(labels)
        listener.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"{path}: not nano-clap weights ({reason}); name a nano-clap file"
        ) from error
    return listener.eval().requires_grad_(False)
