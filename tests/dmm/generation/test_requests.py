import json

import pytest
import torch

from dmm.errors import InputError
from dmm.generation.clips import make_clips
from dmm.generation.requests import Request, morph, requests
from dmm.generation.sampling import Sampling
from dmm.generation.variations import read_original
from dmm.noise import first_noise, slerp


def png(sound):
    return sound.with_suffix(".png").read_bytes()


def test_a_morph_begins_and_ends_with_the_prompts_own_clips(order):
    plain = make_clips([Request("piano", 7), Request("organ", 8)], order())
    first, middle, last = make_clips(morph("piano", "organ", 3, 7), order())
    assert [png(first), png(last)] == [png(clip) for clip in plain]
    assert png(middle) not in (png(first), png(last))


def test_a_morph_of_one_step_is_none():
    with pytest.raises(ValueError, match="got 1"):
        morph("piano", "organ", 1, 0)


def test_noise_on_the_way_is_as_loud_as_noise():
    a, b = first_noise([1, 2], (8, 32, 32))
    for amount in (0.25, 0.5, 0.75):
        assert slerp(a, b, amount).std() == pytest.approx(1, abs=0.02)
    assert torch.equal(slerp(a, b, 1.0), b) and torch.equal(slerp(a, a, 0.5), a)
    assert torch.lerp(a, b, 0.5).std() < 0.75  # what a straight way would do


def test_variations_come_nearer_the_less_they_may_differ(order, tiny_checkpoint):
    from dmm.generation.drawing import draw_latents

    (sound,) = make_clips([Request("piano", 7)], order())
    original, studio = read_original(order().out, "piano-7"), order().studio()
    own, *others = (
        draw_latents(studio.pipeline, original.variations(1, None, amount), order().recipe)
        for amount in (0.0, 0.1, 0.5)
    )
    near, far = ((other - own).norm() for other in others)
    assert 0 < near < far
    (same,) = make_clips(original.variations(1, None, 0.0), order())
    assert png(same) == png(sound) and same.stem == "piano-7-v8"


def test_a_variation_may_have_variations(order):
    make_clips([Request("piano", 7)], order())
    (first,) = make_clips(read_original(order().out, "piano-7").variations(1, None, 0.3), order())
    original = read_original(order().out, first.name)
    (second,) = original.variations(1, None, 0.2)
    assert second.clip_id == "piano-7-v8-v9" and second.drift == ((8, 0.3), (9, 0.2))
    assert json.loads(first.with_suffix(".json").read_text())["drift"] == [[8, 0.3]]
    assert original.sampling == Sampling("euler", steps=2)


def test_the_original_must_be_there_and_of_the_same_model(order, tiny_sd15):
    make_clips([Request("piano", 7)], order())
    with pytest.raises(InputError, match="no clip 'organ-1'; there are: piano-7"):
        read_original(order().out, "organ-1")
    other = order(model=tiny_sd15)
    with pytest.raises(InputError, match="model_sha256"):
        read_original(order().out, "piano-7").check_same(other, other.studio())


def test_seeds_count_up_over_all_prompts():
    found = [(r.prompt, r.seed) for r in requests(["a", "b"], 2, 5)]
    assert found == [("a", 5), ("b", 6), ("a", 7), ("b", 8)]
