"""``dmm eval clap``, ``diversity``, ``fad``, ``kad``, ``testset``: one question each."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmm.errors import InputError

from .options import Clips, Ears, Real, with_ears

if TYPE_CHECKING:
    from ..sample import Reference
    from ..sets import ClipSet


@with_ears
def clap(clips: Clips, ears: Ears) -> None:
    """How well clips fit their own prompts (from ID.json or ID.txt), beside other clips' prompts.

    Example: dmm eval clap clips/ --weights clap-music/
    """
    _tell(clips, None, ("clap_score", "retrieval"), ears, minimum=1)


@with_ears
def diversity(clips: Clips, ears: Ears) -> None:
    """How varied clips are: in all, within a prompt and between prompts.

    Example: dmm eval diversity clips/ --json
    """
    _tell(clips, None, ("diversity", "within", "between", "participation_ratio"), ears)


@with_ears
def fad(clips: Clips, reference: Real, ears: Ears) -> None:
    """Fréchet distance of clips to real ones, and what as many real clips score.

    Example: dmm eval fad clips/ data/minimidi
    """
    _tell(clips, reference, ("fad", "fad_inf"), ears)


@with_ears
def kad(clips: Clips, reference: Real, ears: Ears) -> None:
    """Kernel distance of clips to real ones, fair for few clips, with a permutation test.

    Example: dmm eval kad clips/ data/minimidi
    """
    _tell(clips, reference, ("kad",), ears)


@with_ears
def testset(clips: Clips, dataset: Real, ears: Ears) -> None:
    """How alike clips and a test set are, and whether each is found among the other.

    Example: dmm eval testset clips/ data/minimidi
    """
    _tell(clips, dataset, ("cosine", "precision", "recall", "coverage", "vendi"), ears, minimum=1)


def _tell(
    clips: Path, reference: Path | None, names: tuple[str, ...], ears: Ears, minimum: int = 2
) -> None:
    """Score, and print; InputError if the first of the scores cannot be had."""
    from ..results import cautions_json, embedder_json, figures_json, set_json
    from ..sample import interval_groups
    from ..scores import score
    from ..sets import ClipSet, open_clips, read_prompts, refuse_swapped, sample_of
    from .tables import print_scores

    real, described = _open_real(reference, ears)
    own = open_clips(clips, ears.embedder, minimum, ears.ray)
    sets = {"clips": own}
    if isinstance(real, ClipSet):
        refuse_swapped(own, real)
        sets["real"] = real
    texts = read_prompts(ears.embedder, own) if names[0] == "clap_score" else None
    found = score(sample_of(own, real, texts), names)
    if found[names[0]].value is None:
        raise InputError(f"{clips}: {found[names[0]].why_not}")
    content = {
        "embedder": embedder_json(ears.embedder),
        "sets": set_json(sets) | described,
        "interval_over": interval_groups(own.prompts)[1],
        "scores": figures_json(found, ears.embedder),
        "cautions": cautions_json(sets, ears.embedder, texts),
    }
    if ears.as_json:
        return ears.print_json(content)
    print_scores(ears, content)


def _open_real(
    path: Path | None, ears: Ears
) -> tuple["ClipSet | Reference | None", dict[str, dict[str, Any]]]:
    """Real clips, or a statistics file and what it says of itself."""
    from ..reference_file import read_statistics
    from ..sets import open_reference

    if path is None:
        return None, {}
    if not path.is_file():
        return open_reference(path, ears.embedder, ears.ray), {}
    reference, metadata = read_statistics(path, ears.embedder)
    said = {"folder": f"{metadata['folder']} in {path.name}", "n": reference.gaussian.n}
    return reference, {"real": said | {"prompts": 0, "n_left_out": 0, "left_out": []}}
