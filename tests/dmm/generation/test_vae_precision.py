"""SDXL's VAE overflows in half precision; clips are decoded in full precision all the same."""

import numpy as np
import pytest
import torch

from dmm.checkpoints.pipeline import load_pipeline
from dmm.errors import ModelError
from dmm.generation.loading import open_pipeline
from dmm.generation.mel_images import decode_latent

LATENT = torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_vae_of_this_test_overflows_in_half_precision(overflowing_vae):
    halves = open_pipeline(overflowing_vae, precision="fp16", device="cpu")
    halves.vae.to(torch.float16)
    with pytest.raises(ModelError, match="NaN"):
        decode_latent(halves, LATENT)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precision_decodes_as_full_precision_does(overflowing_vae, precision):
    found = decode_latent(open_pipeline(overflowing_vae, precision=precision, device="cpu"), LATENT)
    vae = load_pipeline(overflowing_vae).vae.double()
    with torch.no_grad():
        image = vae.decode(LATENT.double() / vae.config.scaling_factor).sample[0]
    expected = (image / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()
    assert expected.std() > 0.01
    assert np.abs(found - expected).max() < 1e-3
