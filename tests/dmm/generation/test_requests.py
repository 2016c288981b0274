import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dmm.errors import InputError
from dmm.generation.clips import make_missing_clips
from dmm.generation.requests import ClipRequest, clip_requests, morph_requests
from dmm.generation.sampling import Sampling
from dmm.generation.variations import read_original
from dmm.noise import first_noise, slerp


def png(sound):
    return sound.with_suffix(".png").read_bytes()


def test_a_morph_begins_and_ends_with_the_prompts_own_clips(maker):
    plain = make_missing_clips([ClipRequest("piano", 7), ClipRequest("organ", 8)], maker())
    first, middle, last = make_missing_clips(morph_requests("piano", "organ", 3, 7), maker())
    assert [png(first), png(last)] == [png(clip) for clip in plain]
    assert png(middle) not in (png(first), png(last))


def test_a_morph_of_one_step_is_refused():
    with pytest.raises(ValueError, match="got 1"):
        morph_requests("piano", "organ", 1, 0)


def test_interpolated_noise_keeps_its_level():
    a, b = first_noise([1, 2], (8, 32, 32))
    for share in (0.25, 0.5, 0.75):
        assert slerp(a, b, share).std() == pytest.approx(1, abs=0.02)
    assert torch.equal(slerp(a, b, 1.0), b) and torch.equal(slerp(a, a, 0.5), a)
    assert torch.lerp(a, b, 0.5).std() < 0.75  # linear interpolation


def test_variations_are_nearer_at_less_strength(maker, tiny_checkpoint):
    from dmm.generation.mel_images import generate_latents

    (sound,) = make_missing_clips([ClipRequest("piano", 7)], maker())
    original, pipeline = read_original(maker().out, "piano-7"), maker().model.pipeline
    own, *others = (
        generate_latents(pipeline, original.variation_requests(1, None, strength), maker().settings)
        for strength in (0.0, 0.1, 0.5)
    )
    near, far = ((other - own).norm() for other in others)
    assert 0 < near < far
    (same,) = make_missing_clips(original.variation_requests(1, None, 0.0), maker())
    assert png(same) == png(sound) and same.stem == "piano-7-v8"


def test_a_variation_may_have_variations(maker):
    make_missing_clips([ClipRequest("piano", 7)], maker())
    (first,) = make_missing_clips(
        read_original(maker().out, "piano-7").variation_requests(1, None, 0.3), maker()
    )
    original = read_original(maker().out, first.name)
    (second,) = original.variation_requests(1, None, 0.2)
    assert second.clip_id == "piano-7-v8-v9" and second.toward_seeds == ((8, 0.3), (9, 0.2))
    assert json.loads(first.with_suffix(".json").read_text())["drift"] == [[8, 0.3]]
    assert original.sampling == Sampling("euler", steps=2)


def test_the_original_must_exist_and_be_of_the_same_model(maker, tiny_sd15):
    make_missing_clips([ClipRequest("piano", 7)], maker())
    with pytest.raises(InputError, match="no clip 'organ-1'; there are: piano-7"):
        read_original(maker().out, "organ-1")
    other = maker(model=tiny_sd15)
    with pytest.raises(InputError, match="model_sha256"):
        read_original(maker().out, "piano-7").check_same_model_and_format(other)


def test_seeds_count_up_over_all_prompts():
    found = [(r.prompt, r.seed) for r in clip_requests(["a", "b"], 2, 5)]
    assert found == [("a", 5), ("b", 6), ("a", 7), ("b", 8)]


@given(st.lists(st.text(max_size=8), min_size=2, max_size=2, unique=True), st.integers(0, 9))
def test_different_prompts_never_have_the_same_file_name(prompts, seed):
    first, second = (ClipRequest(prompt, seed).clip_id for prompt in prompts)
    assert first != second


@pytest.mark.parametrize(
    "prompts",
    [
        ("piano!", "piano?"),
        ("piano, slow", "piano slow"),
        ("Piano", "piano"),
        ("piano ", "piano"),
        ("a" * 90, "a" * 91),
        ("", "clip"),
        ("piano_slow", "piano, slow"),
    ],
)
def test_prompts_that_share_their_words_have_files_of_their_own(prompts):
    first, second = (ClipRequest(prompt, 7).clip_id for prompt in prompts)
    assert first.lower() != second.lower() and max(len(first), len(second)) < 90
