"""Rules on captions: which are read, and how much of them.

Each rule returns a sentence with the problem and its remedy, or None.
"""

from ..facts import Facts
from ..run_settings import RunSettings
from .base import Rule, shuffles_captions, value_in_force

START_AND_END = 2
"""Number of special tokens in every prompt: its start and its end."""
PROMPT_TOKENS = 75
"""Tokens of a prompt that ``dmm generate`` reads."""


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


ERRORS: tuple[Rule, ...] = (cached_captions_change,)
WARNINGS: tuple[Rule, ...] = (long_captions, more_tokens_than_generation_reads)
