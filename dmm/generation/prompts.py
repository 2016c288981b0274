"""Prompts from the command line, a text file or a grammar; notes on those too long for CLIP."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..checkpoints.architecture import read_architecture
from ..checkpoints.tokenizers import load_tokenizers, truncate_prompt
from ..errors import InputError, PresetError
from ..files import read_text
from .grammar import load_grammar


def gather_prompts(
    typed: Sequence[str], file: Path | None, grammar: str | None, draw: int | None, seed: int
) -> list[str]:
    """Typed prompts, then those of a text file, then ``draw`` random ones of a grammar.

    InputError or PresetError for a file or grammar that cannot be read, and for a grammar without
    ``draw``.
    """
    found = [*typed, *(read_prompts(file) if file else ())]
    if grammar:
        rules = load_grammar(grammar)
        if draw is None:
            raise PresetError(
                f"grammar {grammar} allows {rules.size():,} prompts; take some by chance with "
                f"--draw N, or all with --draw {rules.size()}"
            )
        found += rules.draw(draw, seed)
    return found


def read_prompts(path: Path) -> list[str]:
    """Prompts of a UTF-8 text file, one a line, without empty lines and comments (# at the start).

    InputError for a missing file, other encodings, and a file without a prompt.
    """
    lines = [line.strip() for line in read_text(path).splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InputError(f"{path}: holds no prompt; write one a line")
    return found


def truncation_notes_for_checkpoint(checkpoint: Path, texts: Iterable[str]) -> Iterator[str]:
    """``truncation_notes`` with CLIP's tokeniser for the checkpoint's vocabulary."""
    tokenizer, _ = load_tokenizers(read_architecture(checkpoint).vocab_size)
    return truncation_notes(texts, tokenizer)


def truncation_notes(texts: Iterable[str], tokenizer: Any) -> Iterator[str]:
    """One line for each distinct text that CLIP truncates, with the words cut off."""
    for text in dict.fromkeys(texts):
        _, cut = truncate_prompt(text, tokenizer)
        if cut:
            read = f"CLIP reads {tokenizer.model_max_length - 2} tokens"
            yield f'{read}; of "{text[:40]} ..." it does not read: "{" ".join(cut)}"'
