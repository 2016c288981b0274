"""Prompt embeddings of all training texts, computed once by the teacher's text encoders."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from jaxtyping import Int
from torch import Tensor

from ..errors import ModelError
from ..generation.conditioning import PromptEmbeddings
from .shards import Rows, Shards
from .teacher import Teacher

SHARD = 512
"""Texts in a file."""


class EmbeddingTable:
    """Numbered texts with their embeddings, in half precision on disk."""

    def __init__(self, teacher: Teacher, texts: Sequence[str], folder: Path) -> None:
        """Embed what ``folder`` does not hold yet; ModelError if half precision overflows."""
        self.texts = list(dict.fromkeys(texts))
        self.numbers = {text: number for number, text in enumerate(self.texts)}
        facts = json.dumps([teacher.text_identity, self.texts])
        name = hashlib.sha256(facts.encode()).hexdigest()[:32]
        self._shards = Shards(folder / f"texts-{name}", len(self.texts), SHARD)

        def make(numbers: range) -> Rows:
            embeddings = teacher.embed([self.texts[number] for number in numbers])
            rows = {"tokens": embeddings.tokens}
            if embeddings.pooled is not None:
                rows["pooled"] = embeddings.pooled
            if not all(tensor.half().isfinite().all() for tensor in rows.values()):
                raise ModelError(
                    f"{teacher.checkpoint}: its text encoder overflows half precision at one of "
                    f"{self.texts[numbers[0]]!r} and the {len(numbers) - 1} texts after it"
                )
            return rows

        self._shards.make_missing_files("embed texts", make, SHARD, teacher.compute)

    def embeddings(self, numbers: Int[Tensor, " n"]) -> PromptEmbeddings:
        """Embeddings of the texts with these numbers."""
        rows = self._shards.rows(numbers)
        return PromptEmbeddings(rows["tokens"], rows.get("pooled"))
