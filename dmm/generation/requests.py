"""Which clips to make: prompts and seeds, and what each clip is called."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """One clip to make."""

    prompt: str
    seed: int

    @property
    def clip_id(self) -> str:
        """Words of the prompt and the seed, fit for a file name.

        >>> Request("Piano, slow!", 7).clip_id
        'piano-slow-7'
        """
        return f"{slug(self.prompt)}-{self.seed}"


def requests(prompts: Sequence[str], count: int, seed: int) -> list[Request]:
    """``count`` clips for every prompt, seeds counting up from ``seed`` over all of them."""
    if count < 1:
        raise ValueError(f"count is 1 or more; got {count}")
    return [
        Request(prompt, seed + len(prompts) * repeat + number)
        for repeat in range(count)
        for number, prompt in enumerate(prompts)
    ]


def slug(text: str) -> str:
    """A text's words in at most 60 characters that any file system takes.

    >>> slug("Lo-fi piano, slow"), slug("!")
    ('lo-fi-piano-slow', 'clip')
    """
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return "-".join(words)[:60] or "clip"
