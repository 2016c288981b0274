"""Rules on the DATASET: captions, image sizes, formats, regularisation, dataset.toml itself."""

from ..facts import DatasetFacts, Facts
from ..presets import Resolved
from .base import Rule, buckets, in_force, regularises, said, shown, shuffles

INSTEAD = {"shuffle_caption": "dataset_shuffle", "enable_bucket": "dataset_bucketing"}
"""Launcher settings that reach what ``dataset.toml`` says."""
START_AND_END = 2
"""Tokens of every prompt that are no words."""
USUAL_TOKENS = 75
SMALLEST_SIDE = 512
"""Pixels, of an image that SD 1.5 and SDXL can be expected to draw."""


def overridden_by_dataset(settings: Resolved, facts: Facts) -> str | None:
    """The engine looks into dataset.toml first."""
    if facts.dataset is None:
        return None
    for key, value in facts.dataset.stated.items():
        if key in settings.stated and key != "dataset_repeats" and settings[key] != value:
            remedy = (
                f"use {INSTEAD[key]}" if key in INSTEAD else "change it there, or remove it here"
            )
            return (
                f"{said(settings, key)} does nothing: the dataset's dataset.toml says "
                f"{shown(value)}, which wins; {remedy}"
            )
    return None


def time_runs_backwards(settings: Resolved, facts: Facts) -> str | None:
    """A mel image mirrored from left to right."""
    if not in_force(settings, facts, "flip_aug"):
        return None
    return "flip_aug = true: half of all clips would be played backwards in time; set it to false"


def spectrum_changed(settings: Resolved, facts: Facts) -> str | None:
    """Augmentations made for photographs."""
    harms = {
        "random_crop": "cuts off low or high frequencies",
        "color_aug": "changes levels, which are loudness",
        "face_crop_aug_range": "cuts and stretches the image, which is time and frequency",
    }
    for key, harm in harms.items():
        if value := in_force(settings, facts, key):
            return f"{key} = {shown(value)} {harm}; remove it"
    return None


def no_masks(settings: Resolved, facts: Facts) -> str | None:
    """Mel images have no transparency, and blue may hold the balance."""
    key = next((k for k in ("masked_loss", "alpha_mask") if in_force(settings, facts, k)), None)
    if key is None:
        return None
    return f"{key} = true: a mel image holds no mask for the loss; remove it"


def cached_captions_change(settings: Resolved, facts: Facts) -> str | None:
    """What is worked out once cannot be shuffled later; the engine refuses after loading."""
    cached = any(
        settings[k] for k in ("cache_text_encoder_outputs", "cache_text_encoder_outputs_to_disk")
    )
    if not cached:
        return None
    changing = ("caption_dropout_rate", "caption_tag_dropout_rate", "token_warmup_step")
    found = [key for key in changing if in_force(settings, facts, key)]
    if shuffles(settings, facts):
        found.insert(0, "dataset_shuffle")
    if not found:
        return None
    return (
        f"cache_text_encoder_outputs with {', '.join(found)}: captions that change cannot be read "
        f"once and kept; set {found[0]} = {'false' if found[0] == 'dataset_shuffle' else '0'}, or "
        "do not cache"
    )


def other_format(settings: Resolved, facts: Facts) -> str | None:
    """A base that knows one mel format, images in another."""
    data, base = facts.dataset, facts.base
    if data is None or base is None or None in (data.format, base.format):
        return None
    if data.format == base.format:
        return None
    return (
        f"the dataset holds {data.format!r} images and the base was made for {base.format!r}; "
        f"build the dataset with --format {base.format}, or take another base"
    )


def images_for_a_small_base(settings: Resolved, facts: Facts) -> str | None:
    """A base that names no format is one of the large ones, as published."""
    data, base = facts.dataset, facts.base
    if data is None or base is None or base.format or data.resolution is None:
        return None
    if min(data.resolution) >= SMALLEST_SIDE:
        return None
    return (
        f"images of {_size(data.resolution)}: SDXL was made for 1024 x 1024 and SD 1.5 for 512 x "
        "512, and neither draws much at this size; build the dataset with --format sdxl-512, or "
        "take nano as the base"
    )


def resized_images(settings: Resolved, facts: Facts) -> str | None:
    """Scaling an image scales its time and its pitch."""
    data = facts.dataset
    if data is None or data.resolution is None or buckets(settings, facts):
        return None
    others = sorted(data.sizes - {data.resolution})
    if not others:
        return None
    return (
        f"images of {_size(others[0])} would be scaled and cropped to {_size(data.resolution)}, "
        "which changes tempo and pitch; correct resolution in dataset.toml, or build the dataset "
        "again"
    )


def size_not_of_the_network(settings: Resolved, facts: Facts) -> str | None:
    """Eight pixels a latent, halved twice (SDXL) or three times (SD 1.5); buckets go by 64."""
    if facts.dataset is None:
        return None
    unit = 32 if facts.architecture == "sdxl" and not buckets(settings, facts) else 64
    for size in sorted(facts.dataset.sizes):
        if size[0] % unit or size[1] % unit:
            return (
                f"images of {_size(size)}: width and height must be multiples of {unit} for this "
                "base; build the dataset in another format"
            )
    return None


def outside_bucket_limits(settings: Resolved, facts: Facts) -> str | None:
    """The engine refuses after reading all images."""
    data = facts.dataset
    if data is None or data.resolution is None or not buckets(settings, facts):
        return None
    low, high = (in_force(settings, facts, f"{end}_bucket_reso") for end in ("min", "max"))
    if low <= min(data.resolution) and max(data.resolution) <= high:
        return None
    return (
        f"bucketing: {_size(data.resolution)} is outside min_bucket_reso {low} and max_bucket_reso "
        f"{high}; widen these, or leave bucketing off"
    )


def bucketing_one_size(settings: Resolved, facts: Facts) -> str | None:
    """One size, one bucket."""
    if facts.dataset is None or not buckets(settings, facts) or len(facts.dataset.sizes) != 1:
        return None
    size = _size(next(iter(facts.dataset.sizes)))
    return f"bucketing does nothing: all images are {size}; leave it off"


def repeats_without_effect(settings: Resolved, facts: Facts) -> str | None:
    """At a fixed number of steps repeats move epochs and draw other regularisation clips."""
    data = facts.dataset
    if data is None or settings["dataset_repeats"] in (None, data.repeats):
        return None
    if regularises(settings, data) or settings["max_train_epochs"] is not None:
        return None
    return (
        f"{said(settings, 'dataset_repeats')} only moves where epochs end: max_train_steps sets "
        "the length and there is no regularisation; for more passes over the clips raise "
        "max_train_steps"
    )


def no_regularisation_to_leave_out(settings: Resolved, facts: Facts) -> str | None:
    """Nothing to leave out, or nothing to weigh."""
    data = facts.dataset
    if data is None or regularises(settings, data):
        return None
    if not data.n_reg and not settings["dataset_regularisation"]:
        return (
            f"{said(settings, 'dataset_regularisation')} does nothing: the dataset has no clips "
            "for regularisation; remove it"
        )
    if settings.states("prior_loss_weight"):
        return (
            f"{said(settings, 'prior_loss_weight')} does nothing: no regularisation clips take "
            "part; remove it"
        )
    return None


def unused_regularisation(settings: Resolved, facts: Facts) -> str | None:
    """The engine takes one for each training clip, always the same ones."""
    data = facts.dataset
    if data is None or not regularises(settings, data):
        return None
    repeats = settings["dataset_repeats"] or data.repeats
    drawn, there = data.n_train * repeats, data.n_reg * data.reg_repeats
    if there <= drawn:
        return None
    return (
        f"{there - drawn} of {there} regularisation clips would never be drawn: the engine takes "
        f"one for each of {drawn} training clips; set dataset_repeats = {_repeats_for_all(data)}"
    )


def long_captions(settings: Resolved, facts: Facts) -> str | None:
    """What lies beyond is cut off without a word."""
    read = settings["max_token_length"] or USUAL_TOKENS
    counts = facts.dataset.tokens if facts.dataset else ()
    long = [count - START_AND_END for count in counts if count - START_AND_END > read]
    if not long:
        return None
    return (
        f"{len(long)} of {len(counts)} captions are longer than the {read} tokens that are read "
        f"(up to {max(long)}), and their ends are ignored; build the dataset with --captions "
        "reduce, or with a shorter anchor"
    )


def more_tokens_than_drawn_with(settings: Resolved, facts: Facts) -> str | None:
    """Trained on long prompts, drawn with short ones."""
    if settings["max_token_length"] is None:
        return None
    return (
        f"{said(settings, 'max_token_length')}: dmm generate reads {USUAL_TOKENS} tokens of a "
        "prompt, so what is learnt beyond them cannot be asked for; leave it unset"
    )


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _repeats_for_all(data: DatasetFacts) -> int:
    return -(-data.n_reg * data.reg_repeats // data.n_train) if data.n_train else 1


ERRORS: tuple[Rule, ...] = (
    overridden_by_dataset,
    time_runs_backwards,
    spectrum_changed,
    no_masks,
    cached_captions_change,
    other_format,
    resized_images,
    size_not_of_the_network,
    outside_bucket_limits,
)
WARNINGS: tuple[Rule, ...] = (
    images_for_a_small_base,
    bucketing_one_size,
    repeats_without_effect,
    no_regularisation_to_leave_out,
    unused_regularisation,
    long_captions,
    more_tokens_than_drawn_with,
)
