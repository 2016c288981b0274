"""The listener: one small network that hears a window and reads a caption; nano-CLAP and judges.

Sound and words meet in one space, as in CLAP (https://arxiv.org/abs/2206.04769); beside it, one
output for each attribute. Trained by ``bench/listener/train.py``; its labels and vocabulary travel
in the weights file.
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

from dmm.cards import sha256_of, verify_card
from dmm.errors import ModelError
from dmm.files import whole_file

from .ears import HarmonyEar, RhythmEar, TimbreEar
from .hearing import Pictures, hear

SHIPPED = Path(__file__).parents[2] / "models" / "nano-clap" / "nano-clap.safetensors"
DIM = 128
MAX_WORDS = 48
PAD, START = 0, 1
"""Tokens before the vocabulary; a caption of unknown words is START alone."""
BATCH = 32
"""Windows heard at once."""


@dataclass(frozen=True)
class Labels:
    """What the outputs mean, and the words that are known."""

    instruments: tuple[str, ...]
    drums: tuple[str, ...]
    """``NO_DRUMS``, then the kits."""
    tempos: tuple[str, ...]
    keys: tuple[str, ...]
    """"C major" .. "B major", "C minor" .. "B minor"."""
    styles: tuple[str, ...]
    words: tuple[str, ...]


class Answers(NamedTuple):
    """Logits over each list of labels, and where the sound lies among captions (unit length)."""

    moments: Float[Tensor, "n 16 instruments"]
    """Which instruments sound in each sixteenth of the window; it helps the ear to learn."""
    instruments: Float[Tensor, "n instruments"]
    drums: Float[Tensor, "n drums"]
    tempo: Float[Tensor, "n tempos"]
    key: Float[Tensor, "n keys"]
    style: Float[Tensor, "n styles"]
    embedding: Float[Tensor, "n 128"]


def words_of(text: str) -> list[str]:
    """Lower-case words in their order; sharps and inner hyphens belong to a word.

    >>> words_of("Lo-fi piano, 84 bpm, C# minor")
    ['lo-fi', 'piano', '84', 'bpm', 'c#', 'minor']
    """
    return re.findall(r"[a-z0-9#]+(?:-[a-z0-9]+)*", text.lower())


class Listener(nn.Module):
    """Ears for timbre, rhythm and harmony, a reader of captions, and the space where they meet."""

    def __init__(self, labels: Labels) -> None:
        super().__init__()
        self.labels = labels
        self.timbre_ear = TimbreEar()
        self.rhythm_ear = RhythmEar()
        self.harmony_ear = HarmonyEar()
        colour = 2 * TimbreEar.width
        music = colour + RhythmEar.width
        everything = music + len(labels.keys)
        self.moments = nn.Linear(TimbreEar.width, len(labels.instruments))
        self.instruments = nn.Linear(colour, len(labels.instruments))
        self.drums = nn.Linear(colour, len(labels.drums))
        self.tempo = nn.Linear(music, len(labels.tempos))
        self.style = nn.Linear(everything, len(labels.styles))
        self.project = nn.Sequential(nn.Linear(everything, 256), nn.ReLU(), nn.Linear(256, DIM))
        self.reader = Reader(len(labels.words))
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def hear(self, timbre: Float[Tensor, "n 128 256"], pitch: Float[Tensor, "n 216 48"]) -> Answers:
        """Answers for windows whose levels lie in 0..1, as ``hearing.Pictures`` over 255."""
        found = self.timbre_ear(timbre)
        music = torch.cat([found.whole, self.rhythm_ear(timbre)], 1)
        key = self.harmony_ear(pitch)
        everything = torch.cat([music, key.softmax(1)], 1)
        return Answers(
            moments=self.moments(found.moments),
            instruments=self.instruments(found.whole),
            drums=self.drums(found.whole),
            tempo=self.tempo(music),
            key=key,
            style=self.style(everything),
            embedding=F.normalize(self.project(everything).float(), dim=1),
        )

    def listen(self, clips: Iterable[Float[np.ndarray, "_"]]) -> Answers:
        """Probabilities instead of logits, and embeddings: the mean over each sound's windows.

        Sounds are mono at ``hearing.SR``, of any length.
        """
        heard = [hear(clip) for clip in clips]
        windows = probabilities(self.answer(Pictures.joined(heard)))
        counts = [len(own) for own in heard]
        return Answers(*(torch.stack([w.mean(0) for w in x.split(counts)]) for x in windows))

    def answer(self, pictures: Pictures) -> Answers:
        """Logits and embeddings for windows of any number."""
        parts = []
        with torch.inference_mode():
            for start in range(0, len(pictures), BATCH):
                rows = slice(start, start + BATCH)
                timbre = torch.from_numpy(pictures.timbre[rows]) / 255
                parts.append(self.hear(timbre, torch.from_numpy(pictures.pitch[rows]) / 255))
        return Answers(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def read(self, tokens: Int[Tensor, "n words"]) -> Float[Tensor, "n 128"]:
        """Unit rows for captions of ``tokenize``."""
        return F.normalize(self.reader(tokens).float(), dim=1)

    def tokenize(self, texts: Sequence[str]) -> Int[Tensor, "n words"]:
        """Token ids, padded to the longest caption; unknown words are left out."""
        number = {word: i + 2 for i, word in enumerate(self.labels.words)}
        rows = [[START, *(number[w] for w in words_of(t) if w in number)] for t in texts]
        rows = [torch.tensor(row[:MAX_WORDS]) for row in rows]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def probabilities(answers: Answers) -> Answers:
    """Logits to probabilities: of each instrument for itself, of all labels of the other lists."""
    classes = {
        name: getattr(answers, name).softmax(1) for name in ("drums", "tempo", "key", "style")
    }
    return answers._replace(
        moments=answers.moments.sigmoid(), instruments=answers.instruments.sigmoid(), **classes
    )


class Reader(nn.Module):
    """A transformer layer over words; a caption is the mean of its words."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words + 2, DIM)
        self.places = nn.Parameter(0.02 * torch.randn(MAX_WORDS, DIM))
        self.layer = nn.TransformerEncoderLayer(DIM, 4, 256, 0.0, batch_first=True, norm_first=True)
        self.out = nn.Linear(DIM, DIM)

    def forward(self, tokens: Int[Tensor, "n words"]) -> Float[Tensor, "n 128"]:
        """One vector a caption, of any length."""
        is_pad = tokens == PAD
        x = self.words(tokens) + self.places[: tokens.shape[1]]
        x = self.layer(x, src_key_padding_mask=is_pad)
        kept = (~is_pad).float()[..., None]
        return self.out((x * kept).sum(1) / kept.sum(1))


def save_listener(path: Path, listener: Listener) -> None:
    """Write weights in half precision, with the labels in the file's metadata."""
    from safetensors.torch import save_file

    tensors = {k: v.detach().half().contiguous() for k, v in listener.state_dict().items()}
    with whole_file(path) as partial:
        save_file(tensors, partial, metadata={"labels": json.dumps(asdict(listener.labels))})


def load_listener(path: Path | None = None) -> tuple[Listener, str]:
    """The shipped listener, or that of a file or folder, and its SHA-256.

    ModelError if the file is missing, does not match the card beside it, or is no listener.
    """
    path = path or SHIPPED
    path = path / SHIPPED.name if path.is_dir() else path
    verify_card(path)
    sha256 = sha256_of(path)
    return _load(path, sha256), sha256


@cache
def _load(path: Path, sha256: str) -> Listener:
    """The listener of a file with this hash, read once in a process."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            found = json.loads(file.metadata()["labels"])
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
        labels = Labels(**{name: tuple(values) for name, values in found.items()})
        listener = Listener(labels)
        listener.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"{path}: no listener ({reason}); name a nano-clap file") from error
    return listener.eval().requires_grad_(False)
