"""The sets of clips that scores are about, embedded, and what shows that they were mixed up."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dmm.embedders import Embedder, TextEmbedder
from dmm.errors import InputError

from .clips import (
    EmbeddedClips,
    clip_id,
    embed_files,
    embed_reference,
    reference_files,
    training_files,
)
from .facts import Origin, match_pairs, origin
from .metrics.closeness import nearest
from .metrics.memorising import SAME
from .sample import Reference, Sample

IMAGE = ".png"


@dataclass(frozen=True)
class ClipSet:
    """One set of clips: where it lies and what is known of each."""

    folder: Path
    clips: EmbeddedClips

    def __len__(self) -> int:
        return len(self.clips)

    @cached_property
    def ids(self) -> list[str]:
        """What each clip is called in results."""
        return [clip_id(path, self.folder) for path in self.clips.files]

    @cached_property
    def origins(self) -> list[Origin]:
        """Prompt and seed of each clip."""
        return [origin(path) for path in self.clips.files]

    @property
    def prompts(self) -> list[str | None]:
        """What each clip was asked to be."""
        return [own.prompt for own in self.origins]

    @property
    def rows(self) -> np.ndarray:
        """Unit rows (n, dim)."""
        return self.clips.rows

    def only(self, kept: Sequence[int]) -> "ClipSet":
        """Some of the clips, in that order."""
        files, hashes = self.clips.files, self.clips.sha256
        some = EmbeddedClips(
            [files[i] for i in kept],
            [hashes[i] for i in kept],
            self.rows[list(kept)],
            self.clips.skipped,
        )
        return ClipSet(self.folder, some)


def open_clips(
    folder: Path, embedder: Embedder, minimum: int = 2, ray: str | None = None
) -> ClipSet:
    """Embed a folder of clips, the test split of a DATASET, or a RUN's newest previews."""
    previews = sorted((folder / "previews").glob("step-*"))
    folder = previews[-1] if previews else folder
    embedded = embed_files(reference_files(folder), embedder, minimum, ray)
    return ClipSet(_root(folder, embedded.files[0]), embedded)


def open_reference(dataset: Path, embedder: Embedder, ray: str | None = None) -> ClipSet:
    """Embed real clips: the test split of a DATASET, or all sound of another folder."""
    embedded = embed_reference(dataset, embedder, ray)
    return ClipSet(_root(dataset, embedded.files[0]), embedded)


def open_training(train: Path, embedder: Embedder, ray: str | None = None) -> ClipSet:
    """Embed what a model was trained on; a DATASET's clips are decoded from their images."""
    return ClipSet(train, embed_files(training_files(train), embedder, 1, ray))


def open_held_out(
    dataset: Path, train: ClipSet, embedder: Embedder, ray: str | None = None
) -> ClipSet:
    """Embed real clips that were not trained on, prepared as the training clips are.

    Where those were decoded from mel images, so are these: else the loss of the image, which
    generated clips share with training clips, would look like memorising.
    """
    files = reference_files(dataset)
    images = [path.with_suffix(IMAGE) for path in files]
    if train.clips.files[0].suffix == IMAGE and all(path.is_file() for path in images):
        files = images
    return ClipSet(_root(dataset, files[0]), embed_files(files, embedder, 1, ray))


def without_leaks(held_out: ClipSet, train: ClipSet) -> tuple[ClipSet, list[str]]:
    """The held-out clips that are no training clips, and the ids of those that are.

    InputError if half of them or more are: then the folders were mixed up.
    """
    cosines = nearest(held_out.rows, train.rows).cosine
    leaked = [held_out.ids[i] for i in np.flatnonzero(cosines > SAME)]
    if 2 * len(leaked) >= len(held_out):
        raise InputError(
            f"{held_out.folder}: {len(leaked)} of {len(held_out)} clips are training clips of "
            f"{train.folder}, such as {leaked[0]}; name real clips that were not trained on"
        )
    return held_out.only(np.flatnonzero(cosines <= SAME).tolist()), leaked


def refuse_swapped(clips: ClipSet, reference: ClipSet) -> None:
    """InputError if the reference was generated and the clips were not."""
    made = [own.seed is not None for own in reference.origins]
    if all(made) and all(own.seed is None for own in clips.origins):
        raise InputError(
            f"{reference.folder} holds generated clips and {clips.folder} real ones; name the "
            "clips first, then the real ones"
        )


def sample_of(
    clips: ClipSet, reference: ClipSet | Reference | None, texts: dict[str, np.ndarray] | None
) -> Sample:
    """The clips as scores see them."""
    if isinstance(reference, ClipSet):
        reference = Reference.of(reference.rows, reference.prompts)
    return Sample(clips.rows, clips.prompts, reference, texts)


def read_prompts(embedder: Embedder, *sets: ClipSet | None) -> dict[str, np.ndarray] | None:
    """A unit row for each prompt and caption of the sets; None if the embedder does not read."""
    if not isinstance(embedder, TextEmbedder):
        return None
    prompts = dict.fromkeys(p for own in sets if own for p in own.prompts if p)
    return dict(zip(prompts, embedder.embed_text(list(prompts)), strict=True)) if prompts else {}


def pairs_of(before: ClipSet, after: ClipSet) -> list[tuple[int, int]]:
    """Indices (before, after) of clips with equal prompt and seed."""
    return match_pairs(before.clips.files, after.clips.files)


def short_names(folders: Sequence[Path]) -> list[str]:
    """As few last parts of each path as tell them apart: a page says nothing of whose disk it was.

    >>> short_names([Path("/a/one/clips"), Path("/a/two/clips"), Path("/b/data/test")])
    ['one/clips', 'two/clips', 'test']
    """
    parts = [folder.resolve().parts for folder in folders]
    depth = [1] * len(parts)

    def tail(index: int) -> tuple[str, ...]:
        return parts[index][-depth[index] :]

    for index, own in enumerate(parts):
        others = [k for k in range(len(parts)) if parts[k] != own]
        while depth[index] < len(own) and any(
            parts[k][-depth[index] :] == tail(index) for k in others
        ):
            depth[index] += 1
    return ["/".join(tail(index)).replace("//", "/") for index in range(len(parts))]


def _root(folder: Path, first: Path) -> Path:
    test = folder / "test"
    return test if first.parent == test else folder
