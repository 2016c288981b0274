"""Range of every number that a preset may hold, where its type allows too much."""

from ..engine_options import loss_weights
from ..run_settings import RunSettings

ABOVE_ZERO = ("huber_start", "huber_end", "huber_validation", "huber_c", "network_alpha",
              "ema_decay")  # fmt: skip
NOT_NEGATIVE = (
    "learning_rate", "unet_lr", "noise_offset", "min_snr_gamma", "max_grad_norm",
    "snr_gate", "early_stop_min_delta", "collapse_floor",
    "preview_guidance", "spec_augment", "spec_augment_time", "spec_augment_mel",
    "caption_dropout_rate", "caption_tag_dropout_rate", "network_dropout",
    "max_data_loader_n_workers",
)  # fmt: skip
"""The weights of added losses belong here too; they come from their own table."""
AT_MOST_ONE = ("spec_augment", "caption_dropout_rate", "caption_tag_dropout_rate",
               "network_dropout")  # fmt: skip
BELOW_ONE = ("spec_augment_time", "spec_augment_mel", "ema_decay")
ONE_OR_MORE = (
    "max_train_steps", "max_train_epochs", "train_batch_size", "gradient_accumulation_steps",
    "network_dim", "dataset_repeats", "save_every_n_steps", "save_last_n_steps_state",
    "validate_every_n_steps", "max_validation_steps", "early_stop_patience",
    "preview_every_n_steps", "preview_count", "preview_steps", "collapse_patience",
)  # fmt: skip
RULE = "out-of-range"
"""The rule's name in findings."""


def out_of_range(settings: RunSettings) -> dict[str, str]:
    """Error message by setting, for each number outside its range."""
    bounds = (
        (ABOVE_ZERO, "above 0", lambda x: x > 0),
        ((*NOT_NEGATIVE, *loss_weights()), "0 or more", lambda x: x >= 0),
        (AT_MOST_ONE, "1 or less", lambda x: x <= 1),
        (BELOW_ONE, "below 1", lambda x: x < 1),
        (ONE_OR_MORE, "1 or more", lambda x: x >= 1),
    )
    return {
        key: f"{settings.quote(key)} is out of range: {range_} is needed"
        for keys, range_, holds in bounds
        for key in keys
        if settings[key] is not None and not holds(settings[key])
    }
