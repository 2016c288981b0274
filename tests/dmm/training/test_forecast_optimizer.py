import pytest
import torch

from dmm.training.forecast.memory.optimizer import optimizer_bytes
from dmm.training.rules.optimizer import OPTIMIZERS, TORCH_OPTIMIZERS


@pytest.mark.parametrize("name", ["AdamW", *TORCH_OPTIMIZERS, "Adafactor"])
def test_an_optimizer_remembers_as_much_as_forecast(name):
    shapes = [(16, 320), (16, 64, 3, 3), (320, 16)]
    parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
    if name == "Adafactor":
        from transformers.optimization import Adafactor

        optimizer = Adafactor(parameters)
    else:
        optimizer = getattr(torch.optim, name)(parameters, lr=1e-3)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    states = [v for state in optimizer.state.values() for v in state.values()]
    tensors = [v for v in states if isinstance(v, torch.Tensor) and v.numel() > 1]
    forecast = optimizer_bytes(name.lower(), [(shape, 1) for shape in shapes], 4)
    assert 4 * sum(tensor.numel() for tensor in tensors) == forecast


def test_eight_bits_are_a_byte_and_its_share_of_a_scale_twice():
    assert optimizer_bytes("adamw8bit", [((64, 320), 3)], 4) == 3 * 2 * (20480 + 4 * 80)
    assert optimizer_bytes("adamw8bit", [((4, 320), 1)], 4) == 2 * 4 * 1280  # small: 32 bits


def test_every_optimizer_of_the_engine_is_known():
    unknown = [n for n in OPTIMIZERS if optimizer_bytes(n.lower(), [((8, 8), 1)], 4) is None]
    assert unknown == []
