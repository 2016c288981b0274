import json

import pytest

from dmm.errors import InputError
from eval.origins import Origin, pair_files_by_origin, read_origin


@pytest.fixture
def beside(tmp_path):
    """Write files beside a clip and read its origin."""

    def ask(**files):
        for suffix, text in files.items():
            (tmp_path / f"a.{suffix}").write_text(text, encoding="utf-8")
        return read_origin(tmp_path / "a.flac")

    return ask


def test_a_clip_knows_its_prompt_and_seed_and_a_recording_its_caption(beside):
    assert beside() == Origin(None, None)
    assert beside(txt=" calm piano\n") == Origin("calm piano", None)
    assert beside(json=json.dumps({"prompt": "flute", "seed": 3})) == Origin("flute", 3)


@pytest.mark.parametrize(("prompts", "asked"), [("aa", "a"), ("ab", None)])
def test_a_long_piece_has_a_prompt_if_that_does_not_change(beside, prompts, asked):
    timeline = {"part": [{"start": 0.0, "prompt": prompt} for prompt in prompts]}
    assert beside(json=json.dumps({"timeline": timeline, "seed": 0})) == Origin(asked, 0)


def test_a_broken_record_is_refused_in_one_line(beside):
    with pytest.raises(InputError, match="not valid JSON"):
        beside(json="{")


@pytest.mark.parametrize("record", [{"prompt": ["a"], "seed": "x"}, [1], "prompt"])
def test_a_record_of_another_kind_has_no_origin(beside, record):
    assert beside(json=json.dumps(record)) == Origin(None, None)


def test_pairs_need_both_prompt_and_seed(tmp_path):
    clips = [tmp_path / f"{name}.flac" for name in "abc"]
    for clip, prompt in zip(clips, (None, "flute", "flute"), strict=True):
        clip.with_suffix(".json").write_text(json.dumps({"prompt": prompt, "seed": 1}), "utf-8")
    assert pair_files_by_origin(clips[:2], clips[:1] + clips[2:]) == [(1, 1)]
