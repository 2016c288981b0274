"""Rules on mel images: their format and size, and augmentations that change the sound.

Each rule returns a sentence with the problem and its remedy, or None.
"""

from ..facts import Facts
from ..run_settings import RunSettings
from ..values import toml_value
from .base import Rule, uses_buckets, value_in_force

SMALLEST_SIDE = 512
"""Side in pixels below which SD 1.5 and SDXL generate poorly."""


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


def _w_x_h(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


ERRORS: tuple[Rule, ...] = (
    time_reversed,
    augmentation_for_photographs,
    masked_loss,
    other_format,
    resized_images,
    size_not_divisible,
    resolution_outside_bucket_limits,
)
WARNINGS: tuple[Rule, ...] = (small_images_for_a_large_base, bucketing_one_size)
