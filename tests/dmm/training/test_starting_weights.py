import pytest
import torch
from safetensors.torch import load_file, save_file

from dmm.errors import InputError, ModelError, PresetError
from dmm.training.presets import resolve
from dmm.training.starting_weights import write_at_rank, write_starting_weights


@pytest.fixture
def lora(tmp_path):
    torch.manual_seed(0)
    tensors = {
        "a.lora_down.weight": torch.randn(4, 10), "a.lora_up.weight": torch.randn(8, 4),
        "a.alpha": torch.tensor(2.0),
        "b.lora_down.weight": torch.randn(4, 3, 3, 3), "b.lora_up.weight": torch.randn(8, 4, 1, 1),
        "b.alpha": torch.tensor(4.0),
    }  # fmt: skip
    save_file(tensors, tmp_path / "lora.safetensors")
    return tmp_path / "lora.safetensors"


def change(path, name):
    t = load_file(path)
    down, up = t[f"{name}.lora_down.weight"].flatten(1), t[f"{name}.lora_up.weight"].flatten(1)
    return up @ down * t[f"{name}.alpha"] / len(down)


@pytest.mark.parametrize(("rank", "alpha"), [(4, 2.0), (4, 8.0), (16, 16.0)])
def test_the_same_change_at_an_equal_or_higher_rank(lora, tmp_path, rank, alpha):
    write_at_rank(lora, tmp_path / "out.safetensors", rank, alpha, conv_rank=6, conv_alpha=1.0)
    for name in "ab":
        torch.testing.assert_close(change(tmp_path / "out.safetensors", name), change(lora, name))
    assert load_file(tmp_path / "out.safetensors")["a.lora_down.weight"].shape == (rank, 10)
    assert load_file(tmp_path / "out.safetensors")["b.lora_down.weight"].shape == (6, 3, 3, 3)


def test_a_lower_rank_keeps_the_largest_singular_values(lora, tmp_path):
    write_at_rank(lora, tmp_path / "out.safetensors", 2, 2.0)
    u, s, vh = torch.linalg.svd(change(lora, "a"), full_matrices=False)
    nearest = (u[:, :2] * s[:2]) @ vh[:2]
    torch.testing.assert_close(change(tmp_path / "out.safetensors", "a"), nearest)
    assert not any(key.startswith("b.") for key in load_file(tmp_path / "out.safetensors"))


def test_a_file_that_is_no_lora_is_refused(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="no lora_down"):
        write_at_rank(tmp_path / "x.safetensors", tmp_path / "out.safetensors", 2, 2.0)


LINEAR = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
CONVOLUTION = "lora_unet_input_blocks_1_0_in_layers_2"
TEXT = "lora_te1_text_model_encoder_layers_0_self_attn_q_proj"


@pytest.fixture
def start(tiny_checkpoint, tmp_path):
    """``start(name, out, size)``: a run of nano-cpu from a LoRA of one layer."""

    def start(name, out, size, settings=(), metadata=None):
        down, up = torch.zeros(2, *size), torch.zeros(out, 2, *[1] * (len(size) - 1))
        tensors = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
        save_file(tensors, tmp_path / "lora.safetensors", metadata)
        files = tmp_path / "lora.safetensors", tmp_path / "out.safetensors"
        return write_starting_weights(
            *files, resolve("nano-cpu", settings), tiny_checkpoint, "nano"
        )

    return start


def test_a_run_starts_from_a_lora_at_its_own_rank(start):
    found = load_file(start(CONVOLUTION, 32, (32, 3, 3), metadata={"dmm_format": "nano"}))
    assert found[f"{CONVOLUTION}.lora_down.weight"].shape == (8, 32, 3, 3)
    assert found[f"{CONVOLUTION}.alpha"] == 8


def test_a_lora_of_another_base_is_refused(start):
    with pytest.raises(ModelError, match=r"trained on v1-5, .* has no lora_unet_down_blocks_0"):
        start("lora_unet_down_blocks_0_to_q", 32, (32,), metadata={"ss_sd_model_name": "v1-5"})


def test_a_lora_for_other_images_is_refused(start):
    with pytest.raises(InputError, match="makes 'sdxl-512' images, the dataset holds 'nano'"):
        start(LINEAR, 64, (64,), metadata={"dmm_format": "sdxl-512"})


@pytest.mark.parametrize(
    ("layer", "settings", "message"),
    [
        ((TEXT, 64, (64,)), [], "text encoder layers.*network_train_unet_only=false"),
        ((CONVOLUTION, 32, (32, 3, 3)), ["network_args="], "convolutions.*conv_dim=8"),
    ],
)
def test_layers_that_would_be_left_out_are_refused(start, layer, settings, message):
    with pytest.raises(PresetError, match=message):
        start(*layer, settings=settings)
