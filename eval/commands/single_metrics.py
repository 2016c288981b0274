"""``dmm eval clap``, ``diversity``, ``fad``, ``kad`` and ``testset``: a few metrics each."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmm.errors import InputError

from .options import Clips, Real, SharedOptions, print_json, with_shared_options

if TYPE_CHECKING:
    from ..sample import Reference
    from ..sets import ClipSet


@with_shared_options
def clap(clips: Clips, options: SharedOptions) -> None:
    """Similarity of clips and their prompts (from ID.json or ID.txt), compared with other prompts.

    Example: dmm eval clap clips/ --weights clap-music/
    """
    _score_and_print(clips, None, ("clap_score", "retrieval"), options, minimum=1)


@with_shared_options
def diversity(clips: Clips, options: SharedOptions) -> None:
    """Diversity of clips: in total, within a prompt and between prompts.

    Example: dmm eval diversity clips/ --json
    """
    _score_and_print(
        clips, None, ("diversity", "within", "between", "participation_ratio"), options
    )


@with_shared_options
def fad(clips: Clips, reference: Real, options: SharedOptions) -> None:
    """Fréchet distance (FAD) of clips to real ones, and that of as many real clips.

    Example: dmm eval fad clips/ data/minimidi
    """
    _score_and_print(clips, reference, ("fad", "fad_inf"), options)


@with_shared_options
def kad(clips: Clips, reference: Real, options: SharedOptions) -> None:
    """Kernel distance (KAD) of clips to real ones, unbiased for few clips, with a permutation test.

    Example: dmm eval kad clips/ data/minimidi
    """
    _score_and_print(clips, reference, ("kad",), options)


@with_shared_options
def testset(clips: Clips, dataset: Real, options: SharedOptions) -> None:
    """Cosine to a test set, precision, recall, coverage and Vendi score.

    Example: dmm eval testset clips/ data/minimidi
    """
    _score_and_print(
        clips, dataset, ("cosine", "precision", "recall", "coverage", "vendi"), options, minimum=1
    )


def _score_and_print(
    clips: Path,
    reference: Path | None,
    names: tuple[str, ...],
    options: SharedOptions,
    minimum: int = 2,
) -> None:
    """Compute and print metrics; InputError if the first of them cannot be computed."""
    from ..results import cautions_json, embedder_json, scores_json, sets_json
    from ..sample import jackknife_groups_and_kind
    from ..scores import compute_scores
    from ..sets import ClipSet, embed_prompts, make_sample, open_clips, refuse_swapped
    from .tables import print_scores

    real, origin = _open_real_or_statistics(reference, options)
    generated = open_clips(clips, options.embedder, minimum, options.ray_address)
    sets = {"clips": generated}
    if isinstance(real, ClipSet):
        refuse_swapped(generated, real)
        sets["real"] = real
    texts = embed_prompts(options.embedder, generated) if names[0] == "clap_score" else None
    found = compute_scores(make_sample(generated, real, texts), names)
    if found[names[0]].value is None:
        raise InputError(f"{clips}: {found[names[0]].why_not}")
    content = {
        "embedder": embedder_json(options.embedder),
        "sets": sets_json(sets) | origin,
        "interval_over": jackknife_groups_and_kind(generated.prompts)[1],
        "scores": scores_json(found, options.embedder),
        "cautions": cautions_json(sets, options.embedder, texts),
    }
    if options.as_json:
        return print_json(content)
    print_scores(options, content)


def _open_real_or_statistics(
    path: Path | None, options: SharedOptions
) -> tuple["ClipSet | Reference | None", dict[str, dict[str, Any]]]:
    """Real clips, or the reference of a statistics file and its JSON entry."""
    from ..reference_file import read_statistics
    from ..sets import open_reference

    if path is None:
        return None, {}
    if not path.is_file():
        return open_reference(path, options.embedder, options.ray_address), {}
    reference, metadata = read_statistics(path, options.embedder)
    entry = {"folder": f"{metadata['folder']} in {path.name}", "n": reference.gaussian.n}
    return reference, {"real": entry | {"prompts": 0, "n_left_out": 0, "left_out": []}}
