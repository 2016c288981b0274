import torch

from dmm.checkpoints.pipeline import load_pipeline
from dmm.checkpoints.tokenizers import load_tokenizers
from dmm.generation.conditioning import embed_prompts, truncate_prompt
from dmm.generation.prompts import truncation_notes

WORDS = [f"violin{number}" for number in range(60)]


def test_a_long_prompt_loses_whole_words_at_its_end():
    tokenizer, _ = load_tokenizers(1024)
    kept, cut = truncate_prompt(" ".join(WORDS), tokenizer)
    assert [*kept.split(), *cut] == WORDS and cut
    assert len(tokenizer(kept).input_ids) <= 77 < len(tokenizer(f"{kept} {cut[0]}").input_ids)


def test_a_prompt_that_fits_is_left_as_it_is():
    tokenizer, _ = load_tokenizers(1024)
    assert truncate_prompt("piano,  slow", tokenizer) == ("piano,  slow", [])


def test_each_long_text_gets_one_note_with_the_words_cut_off():
    tokenizer, _ = load_tokenizers(1024)
    long = " ".join(WORDS)
    (line,) = truncation_notes([long, "piano", long], tokenizer)
    assert line.endswith('violin58 violin59"') and "violin0 violin1" in line and "75" in line


def test_words_cut_off_change_nothing(tiny_checkpoint):
    pipeline = load_pipeline(tiny_checkpoint)
    kept, _ = truncate_prompt(" ".join(WORDS), pipeline.tokenizer)
    first, second = (embed_prompts(pipeline, [text]) for text in (" ".join(WORDS), kept))
    assert torch.equal(first.tokens, second.tokens)
    assert first.pooled is not None and second.pooled is not None
    assert torch.equal(first.pooled, second.pooled)


def test_a_prompts_embedding_does_not_depend_on_its_batch(tiny_checkpoint):
    pipeline = load_pipeline(tiny_checkpoint)
    together = embed_prompts(pipeline, ["piano", "organ, fast", ""])
    assert torch.equal(together.rows([1]).tokens, embed_prompts(pipeline, ["organ, fast"]).tokens)
