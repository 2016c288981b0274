import pytest
import torch
from safetensors.torch import load_file, save_file

from dmm.errors import InputError
from dmm.training.latent_cache import record_latent_vae, vae_identity

CONV = "first_stage_model.encoder.conv_in.weight"


@pytest.fixture
def base(tmp_path, tiny_checkpoint):
    """``base(name, shift, **metadata)``: a checkpoint whose encoder is shifted."""

    def write(name, shift=0.0, **metadata):
        tensors = load_file(tiny_checkpoint)
        tensors[CONV] += shift
        save_file(tensors, tmp_path / name, metadata)
        return tmp_path / name

    return write


def test_latents_of_another_encoder_are_refused_by_name(dataset, base):
    old, new = base("old.safetensors"), base("new.safetensors", 0.1)
    record_latent_vae(dataset, old)
    record_latent_vae(dataset, new)  # nothing was cached
    record_latent_vae(dataset, old)
    (dataset / "train" / "0_0256x0256_sdxl.npz").write_bytes(b"latents")
    record_latent_vae(dataset, old)
    with pytest.raises(InputError, match=r"of old\.safetensors, .*new\.safetensors; remove"):
        record_latent_vae(dataset, new)


def test_latents_of_an_unknown_base_are_refused_by_one_that_names_its_own(dataset, base):
    (dataset / "train" / "0_0256x0256_sdxl.npz").write_bytes(b"latents")
    with pytest.raises(InputError, match="of an unknown base"):
        record_latent_vae(dataset, base("named.safetensors", dmm_latents="a1"))
    record_latent_vae(dataset, base("unnamed.safetensors"))


def test_a_new_decoder_keeps_the_identity(base, tmp_path):
    path = base("a.safetensors")
    tensors = load_file(path)
    tensors["first_stage_model.decoder.conv_out.bias"] += torch.ones(3)
    save_file(tensors, tmp_path / "b.safetensors")
    assert vae_identity(path) == vae_identity(tmp_path / "b.safetensors")
    assert vae_identity(path) != vae_identity(base("c.safetensors", 0.1))
