"""Rules on settings and the DATASET: captions, image sizes, formats, regularisation.

Each rule returns a sentence with the problem and its remedy, or None.
"""

from ..facts import DatasetFacts, Facts
from ..presets import RunSettings
from ..trainer_constants import MOST_REG_REPEATS
from ..values import toml_value
from .base import (
    Rule,
    shuffles_captions,
    uses_buckets,
    uses_regularisation,
    value_in_force,
)

LAUNCHER_SETTINGS = {"shuffle_caption": "dataset_shuffle", "enable_bucket": "dataset_bucketing"}
"""Maps an option of ``dataset.toml`` to the launcher's setting that overrides it."""
START_AND_END = 2
"""Number of special tokens in every prompt: its start and its end."""
PROMPT_TOKENS = 75
"""Tokens of a prompt that ``dmm generate`` reads."""
SMALLEST_SIDE = 512
"""Side in pixels below which SD 1.5 and SDXL generate poorly."""


def overridden_by_dataset(settings: RunSettings, facts: Facts) -> str | None:
    """Report a user's setting without effect, because dataset.toml states another value."""
    return _overridden_message(settings, facts, of_user=True)


def preset_overridden_by_dataset(settings: RunSettings, facts: Facts) -> str | None:
    """Report a preset's setting without effect, because dataset.toml states another value."""
    return _overridden_message(settings, facts, of_user=False)


def _overridden_message(settings: RunSettings, facts: Facts, of_user: bool) -> str | None:
    for key, value in (facts.dataset.stated if facts.dataset else {}).items():
        differs = key in settings.stated and key != "dataset_repeats" and settings[key] != value
        if differs and settings.is_stated_by_user(key) == of_user:
            remedy = (
                f"use {LAUNCHER_SETTINGS[key]}"
                if key in LAUNCHER_SETTINGS
                else "change it there, or remove it here"
            )
            return (
                f"{settings.quote(key)} does nothing: the dataset's dataset.toml says "
                f"{toml_value(value)}, which wins; {remedy}"
            )
    return None


def time_reversed(settings: RunSettings, facts: Facts) -> str | None:
    """Report ``flip_aug``, which mirrors images: half of all clips would play backwards."""
    if not value_in_force(settings, facts, "flip_aug"):
        return None
    return "flip_aug = true: half of all clips would be played backwards in time; set it to false"


def augmentation_for_photographs(settings: RunSettings, facts: Facts) -> str | None:
    """Report an augmentation for photographs, which changes the sound of a mel image."""
    harms = {
        "random_crop": "cuts off low or high frequencies",
        "color_aug": "changes levels, which are loudness",
        "face_crop_aug_range": "cuts and stretches the image, which is time and frequency",
    }
    for key, harm in harms.items():
        if value := value_in_force(settings, facts, key):
            return f"{key} = {toml_value(value)} {harm}; remove it"
    return None


def masked_loss(settings: RunSettings, facts: Facts) -> str | None:
    """Report a loss mask: mel images have no alpha channel to take one from."""
    key = next(
        (k for k in ("masked_loss", "alpha_mask") if value_in_force(settings, facts, k)), None
    )
    if key is None:
        return None
    return f"{key} = true: a mel image holds no mask for the loss; remove it"


def cached_captions_change(settings: RunSettings, facts: Facts) -> str | None:
    """Report shuffled or dropped captions if text encoder outputs are cached once for all steps."""
    cached = any(
        settings[k] for k in ("cache_text_encoder_outputs", "cache_text_encoder_outputs_to_disk")
    )
    if not cached:
        return None
    changing = ("caption_dropout_rate", "caption_tag_dropout_rate", "token_warmup_step")
    found = [key for key in changing if value_in_force(settings, facts, key)]
    if shuffles_captions(settings, facts):
        found.insert(0, "dataset_shuffle")
    if not found:
        return None
    return (
        f"cache_text_encoder_outputs with {', '.join(found)}: captions that change cannot be "
        f"encoded only once; set {found[0]} = "
        f"{'false' if found[0] == 'dataset_shuffle' else '0'}, or do not cache"
    )


def other_format(settings: RunSettings, facts: Facts) -> str | None:
    """Report a dataset whose mel format is not the base's."""
    data, base = facts.dataset, facts.base
    if data is None or base is None or None in (data.format, base.format):
        return None
    if data.format == base.format:
        return None
    return (
        f"the dataset holds {data.format!r} images and the base was made for {base.format!r}; "
        f"build the dataset with --format {base.format}, or choose another base"
    )


def small_images_for_a_large_base(settings: RunSettings, facts: Facts) -> str | None:
    """Report images below 512 pixels for a base without a mel format, such as SDXL or SD 1.5."""
    data, base = facts.dataset, facts.base
    if data is None or base is None or base.format or data.resolution is None:
        return None
    if min(data.resolution) >= SMALLEST_SIDE:
        return None
    return (
        f"images of {_w_x_h(data.resolution)}: SDXL was trained at 1024 x 1024 and SD 1.5 at "
        "512 x 512, and both generate poorly at this size; build the dataset with --format "
        "sdxl-512, or take nano as the base"
    )


def resized_images(settings: RunSettings, facts: Facts) -> str | None:
    """Report images that sd-scripts would scale and crop, which changes tempo and pitch."""
    data = facts.dataset
    if data is None or data.resolution is None or uses_buckets(settings, facts):
        return None
    others = sorted(data.sizes - {data.resolution})
    if not others:
        return None
    return (
        f"images of {_w_x_h(others[0])} would be scaled and cropped to "
        f"{_w_x_h(data.resolution)}, "
        "which changes tempo and pitch; correct resolution in dataset.toml, or build the dataset "
        "again"
    )


def size_not_divisible(settings: RunSettings, facts: Facts) -> str | None:
    """Report image sides that the network cannot halve often enough.

    A latent cell covers 8 x 8 pixels; SDXL halves latents twice, SD 1.5 three times. Sides of
    buckets are multiples of 64 pixels.
    """
    if facts.dataset is None:
        return None
    unit = 32 if facts.architecture == "sdxl" and not uses_buckets(settings, facts) else 64
    for size in sorted(facts.dataset.sizes):
        if size[0] % unit or size[1] % unit:
            return (
                f"images of {_w_x_h(size)}: width and height must be multiples of {unit} for this "
                "base; build the dataset in another format"
            )
    return None


def resolution_outside_bucket_limits(settings: RunSettings, facts: Facts) -> str | None:
    """Report a resolution outside ``min_bucket_reso`` and ``max_bucket_reso``."""
    data = facts.dataset
    if data is None or data.resolution is None or not uses_buckets(settings, facts):
        return None
    low, high = (value_in_force(settings, facts, f"{end}_bucket_reso") for end in ("min", "max"))
    if low <= min(data.resolution) and max(data.resolution) <= high:
        return None
    return (
        f"bucketing: {_w_x_h(data.resolution)} is outside min_bucket_reso {low} and "
        f"max_bucket_reso {high}; widen these, or leave bucketing off"
    )


def bucketing_one_size(settings: RunSettings, facts: Facts) -> str | None:
    """Report bucketing of images that all have one size."""
    if facts.dataset is None or not uses_buckets(settings, facts) or len(facts.dataset.sizes) != 1:
        return None
    size = _w_x_h(next(iter(facts.dataset.sizes)))
    return f"bucketing does nothing: all images are {size}; leave it off"


def repeats_only_move_epochs(settings: RunSettings, facts: Facts) -> str | None:
    """Report repeats that only move the ends of epochs, at a fixed number of steps.

    With regularisation clips, repeats decide how many of these are used.
    """
    data = facts.dataset
    if data is None or settings["dataset_repeats"] in (None, data.repeats):
        return None
    if uses_regularisation(settings, data) or settings["max_train_epochs"] is not None:
        return None
    return (
        f"{settings.quote('dataset_repeats')} only moves where epochs end: max_train_steps sets "
        "the length and there is no regularisation; for more passes over the clips raise "
        "max_train_steps"
    )


def regularisation_setting_without_effect(settings: RunSettings, facts: Facts) -> str | None:
    """Report a setting on regularisation clips if none are trained on.

    A preset may weigh them for the datasets that have some.
    """
    data = facts.dataset
    if data is None or uses_regularisation(settings, data):
        return None
    if not data.n_reg and not settings["dataset_regularisation"]:
        return (
            f"{settings.quote('dataset_regularisation')} does nothing: the dataset has no clips "
            "for regularisation; remove it"
        )
    if settings.is_stated_by_user("prior_loss_weight"):
        return (
            f"{settings.quote('prior_loss_weight')} does nothing: no regularisation clips take "
            "part; remove it"
        )
    return None


def unused_regularisation(settings: RunSettings, facts: Facts) -> str | None:
    """Report regularisation clips that sd-scripts never uses: one per clip and repeat is."""
    data = facts.dataset
    if data is None or not uses_regularisation(settings, data):
        return None
    repeats = settings["dataset_repeats"] or data.repeats
    used, available = data.n_train * repeats, data.n_reg * data.reg_repeats
    if available <= used:
        return None
    return (
        f"{available - used} of {available} regularisation clips would never be used: the engine "
        f"takes one for each of {used} training clips; set dataset_repeats = "
        f"{_repeats_that_use_all_regularisation(data)}"
    )


def overused_regularisation(settings: RunSettings, facts: Facts) -> str | None:
    """Report regularisation clips that are so few that the engine repeats each many times."""
    data = facts.dataset
    if data is None or not uses_regularisation(settings, data) or data.reg_repeats > 1:
        return None
    times = data.n_train / data.n_reg
    if times <= MOST_REG_REPEATS:
        return None
    return (
        f"each of {data.n_reg} regularisation clips is seen {times:.0f} times as often as a "
        "training clip, because they are half of all clips that the engine takes; add more of "
        "them, or set dataset_regularisation = false"
    )


def long_captions(settings: RunSettings, facts: Facts) -> str | None:
    """Report captions with more tokens than ``max_token_length``: sd-scripts cuts them off."""
    read = settings["max_token_length"] or PROMPT_TOKENS
    counts = facts.dataset.tokens if facts.dataset else ()
    long = [count - START_AND_END for count in counts if count - START_AND_END > read]
    if not long:
        return None
    return (
        f"{len(long)} of {len(counts)} captions are longer than the {read} tokens that are read "
        f"(up to {max(long)}), and their ends are ignored; build the dataset with --captions "
        "reduce, or with a shorter anchor"
    )


def more_tokens_than_generation_reads(settings: RunSettings, facts: Facts) -> str | None:
    """Report any ``max_token_length``: training reads more tokens than ``dmm generate``."""
    if settings["max_token_length"] is None:
        return None
    return (
        f"{settings.quote('max_token_length')}: dmm generate reads {PROMPT_TOKENS} tokens of a "
        "prompt, so words beyond them are learnt in vain; leave it unset"
    )


def _w_x_h(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _repeats_that_use_all_regularisation(data: DatasetFacts) -> int:
    """Fewest repeats of the training clips at which every regularisation clip is used."""
    return -(-data.n_reg * data.reg_repeats // data.n_train) if data.n_train else 1


ERRORS: tuple[Rule, ...] = (
    overridden_by_dataset,
    time_reversed,
    augmentation_for_photographs,
    masked_loss,
    cached_captions_change,
    other_format,
    resized_images,
    size_not_divisible,
    resolution_outside_bucket_limits,
)
WARNINGS: tuple[Rule, ...] = (
    preset_overridden_by_dataset,
    small_images_for_a_large_base,
    bucketing_one_size,
    repeats_only_move_epochs,
    regularisation_setting_without_effect,
    unused_regularisation,
    overused_regularisation,
    long_captions,
    more_tokens_than_generation_reads,
)
