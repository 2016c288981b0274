"""Prompts as one types them, from a file or a grammar, and words that CLIP would not read."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..checkpoints.architecture import read_architecture
from ..checkpoints.tokenizers import load_tokenizers
from ..errors import InputError, PresetError
from .conditioning import cut_to_fit
from .grammar import load_grammar


def gather_prompts(
    typed: Sequence[str], file: Path | None, grammar: str | None, draw: int | None, seed: int
) -> list[str]:
    """Prompts of all three kinds, in this order; a grammar's are ``draw`` by chance, or all.

    InputError or PresetError, in one line, for what cannot be read, and where a grammar is named
    without saying how many.
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
    """One prompt a line; empty lines and what follows a ``#`` at a line's start are left out.

    InputError, in one line, for a file that is missing, is no UTF-8 text or holds no prompt.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; name a text file with a prompt a line")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no UTF-8 text; save it as one") from error
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InputError(f"{path}: holds no prompt; write one a line")
    return found


def unread_by(checkpoint: Path, texts: Iterable[str]) -> Iterator[str]:
    """``unread`` by the tokeniser that goes with a checkpoint."""
    tokenizer, _ = load_tokenizers(read_architecture(checkpoint).vocab_size)
    return unread(texts, tokenizer)


def unread(texts: Iterable[str], tokenizer: Any) -> Iterator[str]:
    """A line for every text of which CLIP reads only the beginning, each once."""
    for text in dict.fromkeys(texts):
        _, cut = cut_to_fit(text, tokenizer)
        if cut:
            shown = " ".join(cut)
            read = f"CLIP reads {tokenizer.model_max_length - 2} tokens"
            yield f'{read}; of "{text[:40]} ..." it does not read: "{shown}"'
