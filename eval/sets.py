"""Open the sets of clips to score: embed them, read prompts, and refuse swapped sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from dmm.embedders import Embedder, TextEmbedder
from dmm.errors import InputError

from .clips import (
    EmbeddedClips,
    audio_of_test_split,
    clip_id,
    embed_files,
    embed_reference,
    files_without_variations,
    training_images_or_audio,
)
from .metrics.closeness import nearest_reference_clips
from .metrics.memorization import SAME
from .origins import Origin, pair_files_by_origin, read_origin
from .sample import Reference, Sample
from .tracks import count_tracks

IMAGE = ".png"


@dataclass(frozen=True)
class ClipSet:
    """An embedded folder of clips, with ids, prompts and seeds."""

    folder: Path
    clips: EmbeddedClips

    def __len__(self) -> int:
        return len(self.clips)

    @cached_property
    def ids(self) -> list[str]:
        """Names of the clips in results."""
        return [clip_id(path, self.folder) for path in self.clips.files]

    @cached_property
    def origins(self) -> list[Origin]:
        """Prompt and seed of each clip."""
        return [read_origin(path) for path in self.clips.files]

    @property
    def prompts(self) -> list[str | None]:
        """Prompt of each clip, None if unknown."""
        return [origin.prompt for origin in self.origins]

    @cached_property
    def track_count(self) -> int:
        """Number of tracks that the clips were cut from."""
        return count_tracks(self.clips.files)

    @property
    def rows(self) -> np.ndarray:
        """Unit rows (n, dim)."""
        return self.clips.rows

    def subset(self, indices: Sequence[int]) -> "ClipSet":
        """The set with only these clips, in this order."""
        files, hashes = self.clips.files, self.clips.sha256
        some = EmbeddedClips(
            [files[i] for i in indices],
            [hashes[i] for i in indices],
            self.rows[list(indices)],
            self.clips.skipped,
        )
        return ClipSet(self.folder, some)


def open_clips(
    folder: Path, embedder: Embedder, minimum: int = 2, ray_address: str | None = None
) -> ClipSet:
    """Embed a folder of clips, the test split of a DATASET, or a RUN's newest previews."""
    previews = sorted((folder / "previews").glob("step-*"))
    folder = previews[-1] if previews else folder
    embedded = embed_files(files_without_variations(folder), embedder, minimum, ray_address)
    return ClipSet(_clips_root(folder, embedded.files[0]), embedded)


def open_reference(dataset: Path, embedder: Embedder, ray_address: str | None = None) -> ClipSet:
    """Embed real clips: the test split of a DATASET, or all audio of another folder."""
    embedded = embed_reference(dataset, embedder, ray_address)
    return ClipSet(_clips_root(dataset, embedded.files[0]), embedded)


def open_training(train: Path, embedder: Embedder, ray_address: str | None = None) -> ClipSet:
    """Embed training clips; those of a DATASET are decoded from their mel images."""
    return ClipSet(train, embed_files(training_images_or_audio(train), embedder, 1, ray_address))


def open_held_out(
    dataset: Path, train: ClipSet, embedder: Embedder, ray_address: str | None = None
) -> ClipSet:
    """Embed real clips that were not used for training, prepared as the training clips are.

    If training clips are decoded from mel images, so are these. Otherwise the loss of the image,
    which generated clips and training clips share, would look like memorisation.
    """
    files = audio_of_test_split(dataset)
    images = [path.with_suffix(IMAGE) for path in files]
    if train.clips.files[0].suffix == IMAGE and all(path.is_file() for path in images):
        files = images
    return ClipSet(_clips_root(dataset, files[0]), embed_files(files, embedder, 1, ray_address))


def split_off_leaks(held_out: ClipSet, train: ClipSet) -> tuple[ClipSet, list[str]]:
    """Held-out clips without copies of training clips, and the ids of the copies.

    InputError if half of the clips or more are copies: then the folders were mixed up.
    """
    cosines = nearest_reference_clips(held_out.rows, train.rows).cosine
    leaked = [held_out.ids[i] for i in np.flatnonzero(cosines > SAME)]
    if 2 * len(leaked) >= len(held_out):
        raise InputError(
            f"{held_out.folder}: {len(leaked)} of {len(held_out)} clips are training clips of "
            f"{train.folder}, such as {leaked[0]}; name real clips that were not used for training"
        )
    return held_out.subset(np.flatnonzero(cosines <= SAME).tolist()), leaked


def refuse_swapped(clips: ClipSet, reference: ClipSet) -> None:
    """Raise InputError if the reference was generated and the clips were not."""
    generated = [origin.seed is not None for origin in reference.origins]
    if all(generated) and all(origin.seed is None for origin in clips.origins):
        raise InputError(
            f"{reference.folder} holds generated clips and {clips.folder} real ones; name the "
            "clips first, then the real ones"
        )


def make_sample(
    clips: ClipSet, reference: ClipSet | Reference | None, texts: dict[str, np.ndarray] | None
) -> Sample:
    """Input of the metrics for these clips; ``texts`` are the rows of ``embed_prompts``."""
    if isinstance(reference, ClipSet):
        reference = Reference.from_rows(reference.rows, reference.prompts, reference.track_count)
    return Sample(clips.rows, clips.prompts, reference, texts)


def embed_prompts(embedder: Embedder, *sets: ClipSet | None) -> dict[str, np.ndarray] | None:
    """Embed each prompt and caption of the sets once; None if the embedder knows no text."""
    if not isinstance(embedder, TextEmbedder):
        return None
    prompts = dict.fromkeys(p for clip_set in sets if clip_set for p in clip_set.prompts if p)
    return dict(zip(prompts, embedder.embed_text(list(prompts)), strict=True)) if prompts else {}


def matched_pairs(before: ClipSet, after: ClipSet) -> list[tuple[int, int]]:
    """Pairs (index in ``before``, index in ``after``) of clips with the same prompt and seed."""
    return pair_files_by_origin(before.clips.files, after.clips.files)


def short_names(folders: Sequence[Path]) -> list[str]:
    """Last parts of each path, as few as distinguish them.

    >>> short_names([Path("/a/one/clips"), Path("/a/two/clips"), Path("/b/data/test")])
    ['one/clips', 'two/clips', 'test']
    """
    parts = [folder.resolve().parts for folder in folders]
    depth = [1] * len(parts)

    def tail(index: int) -> tuple[str, ...]:
        return parts[index][-depth[index] :]

    for index, parts_of_path in enumerate(parts):
        others = [k for k in range(len(parts)) if parts[k] != parts_of_path]
        while depth[index] < len(parts_of_path) and any(
            parts[k][-depth[index] :] == tail(index) for k in others
        ):
            depth[index] += 1
    return ["/".join(tail(index)).replace("//", "/") for index in range(len(parts))]


def _clips_root(folder: Path, first: Path) -> Path:
    """Folder that clip ids are relative to: a DATASET's test folder, or the folder itself."""
    test = folder / "test"
    return test if first.parent == test else folder
