import torch
from diffusers.utils.torch_utils import randn_tensor

from dmm.noise import first_noise


def test_a_clip_begins_with_the_noise_of_its_seed_in_any_batch():
    together = first_noise([3, 4], (4, 8, 8))
    assert torch.equal(together[1:], first_noise([4], (4, 8, 8)))
    assert not torch.equal(together[0], together[1])


def test_noise_equals_diffusers_in_full_precision():
    generators = [torch.Generator().manual_seed(seed) for seed in (3, 4)]
    theirs = randn_tensor((2, 4, 8, 8), generator=generators, dtype=torch.float32)
    assert torch.equal(first_noise([3, 4], (4, 8, 8)), theirs)
