import pytest
import torch
from safetensors.torch import load_file, save_file

from dmm.errors import ModelError
from dmm.training.starting_weights import fit_rank


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
    fit_rank(lora, tmp_path / "out.safetensors", rank, alpha, conv_rank=6, conv_alpha=1.0)
    for name in "ab":
        torch.testing.assert_close(change(tmp_path / "out.safetensors", name), change(lora, name))
    assert load_file(tmp_path / "out.safetensors")["a.lora_down.weight"].shape == (rank, 10)
    assert load_file(tmp_path / "out.safetensors")["b.lora_down.weight"].shape == (6, 3, 3, 3)


def test_a_lower_rank_keeps_the_largest_singular_values(lora, tmp_path):
    fit_rank(lora, tmp_path / "out.safetensors", 2, 2.0)
    u, s, vh = torch.linalg.svd(change(lora, "a"), full_matrices=False)
    nearest = (u[:, :2] * s[:2]) @ vh[:2]
    torch.testing.assert_close(change(tmp_path / "out.safetensors", "a"), nearest)
    assert not any(key.startswith("b.") for key in load_file(tmp_path / "out.safetensors"))


def test_a_file_that_is_no_lora_is_refused(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="no lora_down"):
        fit_rank(tmp_path / "x.safetensors", tmp_path / "out.safetensors", 2, 2.0)
