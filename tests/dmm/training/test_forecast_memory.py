"""The memory of a step, compared with torch's allocator, autocast and optimizers."""

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from dmm.checkpoints import networks
from dmm.checkpoints.network_shapes import TextEncoderShapes
from dmm.checkpoints.sd15_shapes import Sd15Shapes
from dmm.checkpoints.sdxl_shapes import SdxlShapes
from dmm.pretraining.nano import NANO
from dmm.training.facts import DatasetFacts, Facts
from dmm.training.forecast.disk import lora_file_bytes
from dmm.training.forecast.memory import count_step as memory_counting
from dmm.training.forecast.memory import step as memory_step
from dmm.training.forecast.memory.estimate import GB, estimate_memory, memory_warning
from dmm.training.forecast.memory.lora import add_lora
from dmm.training.forecast.memory.network_pass import GpuEmulation, LiveBytes, checkpoint_blocks
from dmm.training.forecast.memory.step import CountedStep, TrainingStep
from dmm.training.presets import resolve

NANO_LORA = Path(__file__).parents[3] / "models" / "nano" / "music-box-lora.safetensors"
CLIP_L = TextEncoderShapes(49408, 768, 3072, 12)
SDXL = SdxlShapes(
    latent_channels=4,
    model_channels=320,
    time_embed_dim=1280,
    adm_channels=2816,
    context_dim=2048,
    depths=(2, 10),
    te1=CLIP_L,
    te2=TextEncoderShapes(49408, 1280, 5120, 32),
    vae_channels=(128, 256, 512, 512),
    vae_layers=2,
)
SD15 = Sd15Shapes(
    latent_channels=4,
    channels=(320, 640, 1280, 1280),
    time_embed_dim=1280,
    te=CLIP_L,
    vae_channels=(128, 256, 512, 512),
    vae_layers=2,
)
STEP = TrainingStep(NANO, 256, 256, batch=2, rank=16, conv_rank=8)
count_step = cache(memory_counting.count_step)
HALF = {"compute": "bfloat16", "unet_dtype": "bfloat16", "text_dtype": "bfloat16"}


@pytest.fixture(autouse=True)
def kept_results(tmp_path, monkeypatch):
    monkeypatch.setenv("DMM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def facts():
    return Facts("sdxl", DatasetFacts(n_train=20, n_val=8, resolution=(256, 256)))


def size(tensors) -> int:
    return sum(tensor.numel() for tensor in tensors)


# What sd-scripts' own create_network says, rank 32 and conv_dim 16, on its networks of full size.
@pytest.mark.parametrize(
    ("shapes", "conv_rank", "modules", "parameters", "text_modules", "text_parameters"),
    [
        (SDXL, None, 722, 85_114_880, 264, 28_901_376),
        (SDXL, 16, 788, 92_682_240, 264, 28_901_376),
        (SD15, None, 192, 13_565_952, 72, 5_308_416),
        (SD15, 16, 278, 24_922_112, 72, 5_308_416),
    ],
)
def test_a_lora_has_the_engines_modules_and_parameters(
    shapes, conv_rank, modules, parameters, text_modules, text_parameters
):
    with torch.device("meta"):
        built = networks.build_networks(shapes)
        unet = add_lora(built["unet"], 32, conv_rank)
        encoders = memory_counting.text_encoders(built)
        text = [lora for encoder in encoders for lora in add_lora(encoder, 32)]
    assert len(unet) == modules and len(text) == text_modules
    assert size(p for lora in unet for p in lora.parameters()) == parameters
    assert size(p for lora in text for p in lora.parameters()) == text_parameters


def test_the_matrices_are_those_of_a_lora_that_the_engine_saved():
    found = count_step(STEP)
    with safe_open(NANO_LORA, framework="numpy") as file:
        sizes = [tuple(file.get_slice(k).get_shape()) for k in file.keys() if "weight" in k]
    assert dict(found.lora) == Counter(sizes)
    assert lora_file_bytes(found, itemsize=2) == pytest.approx(NANO_LORA.stat().st_size, rel=0.01)


def test_bytes_are_counted_until_they_are_freed():
    with LiveBytes() as live:
        a = torch.empty(1000)
        b = a * 2
        view = b[:10]
        del a
        c = torch.cat([view, view])
    assert (live.now, live.peak) == (4 * 1000 + 4 * 20, 4 * 2000)
    del b, c
    assert live.now == 4 * 1000  # the view keeps all of b


def test_a_real_step_takes_from_the_allocator_what_is_forecast():
    torch.manual_seed(0)
    unet = networks.build_networks(NANO)["unet"].requires_grad_(False)
    learning = torch.nn.ModuleList(add_lora(unet, STEP.rank, STEP.conv_rank))
    inputs = (torch.randn(2, 8, 32, 32, requires_grad=True), torch.zeros(2))
    context = torch.randn(2, 77, NANO.context_dim)
    pooled = torch.randn(2, NANO.te2.hidden_size)
    added = {"text_embeds": pooled, "time_ids": torch.randn(2, 6)}
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        unet(*inputs, context, added_cond_kwargs=added).sample.square().mean().backward()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        peak = max(peak, now)
    assert all(p.grad is not None for p in learning.parameters())
    assert count_step(STEP).step == pytest.approx(peak, rel=0.03)


def test_half_precision_is_where_cudas_autocast_has_it():
    """Torch's own autocast for CUDA, on tensors that only claim to be there."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    def kept(device, mode) -> int:
        with torch.device(device):
            torch.set_default_dtype(torch.bfloat16)  # fake weights cannot be cast
            unet = networks.build_networks(NANO)["unet"].requires_grad_(False)
            torch.set_default_dtype(torch.float32)
            learning = add_lora(unet, 16, 8)
            checkpoint_blocks(unet, ["BasicTransformerBlock"])
            latents = torch.empty(2, 8, 32, 32, dtype=torch.bfloat16, requires_grad=True)
            text = torch.empty(2, 77, NANO.context_dim, dtype=torch.bfloat16)
            pooled = torch.empty(2, NANO.te2.hidden_size, dtype=torch.bfloat16)
            inputs = (latents, torch.empty(2), text)
            added = {"text_embeds": pooled, "time_ids": torch.empty(2, 6)}
        known = [*unet.parameters(), *inputs, *added.values()]
        known += [p for lora in learning for p in lora.parameters()]
        with LiveBytes(known) as live, mode:
            out = unet(*inputs, added_cond_kwargs=added).sample
        assert out.dtype == torch.bfloat16
        return live.now

    class HalfAttention(GpuEmulation):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is F.scaled_dot_product_attention:
                args = [tensor.to(torch.bfloat16) for tensor in args[:3]]
            return super().__torch_function__(func, types, args, kwargs)

    with FakeTensorMode():
        torch.set_autocast_enabled("cuda", True)
        torch.set_autocast_dtype("cuda", torch.bfloat16)
        torch.set_autocast_cache_enabled(False)
        try:
            expected = kept("cuda", HalfAttention(None))
        finally:
            torch.set_default_dtype(torch.float32)
            torch.set_autocast_enabled("cuda", False)
            torch.set_autocast_cache_enabled(True)
    assert kept("meta", GpuEmulation(torch.bfloat16)) == expected


def test_what_a_batch_keeps_grows_with_it():
    small, large = count_step(STEP), count_step(replace(STEP, batch=4))
    assert large.step == pytest.approx(2 * small.step, rel=0.01)


def test_checkpointing_takes_less_and_plain_attention_more():
    found = count_step(STEP).step
    assert count_step(replace(STEP, checkpointing=True)).step < found / 3
    heads, rows, words = 2, 16**2, 77  # at half of the latents' edge nano has one head, then two
    scores = 2 * 4 * (1 * rows * (rows + words) + heads * (rows // 4) * (rows // 4 + words))
    assert count_step(replace(STEP, stores_scores=True)).step > found + scores


def test_gradients_of_an_earlier_micro_batch_are_kept_meanwhile():
    alone = count_step(replace(STEP, checkpointing=True))
    later = count_step(replace(STEP, checkpointing=True, accumulates=True))
    assert alone.step < later.step <= alone.step + 4 * alone.lora_parameters + 2**16


def test_text_encoders_that_learn_along_add_their_matrices():
    alone, along = count_step(STEP), count_step(replace(STEP, trains_text=True))
    long = count_step(replace(STEP, trains_text=True, tokens=227))
    assert along.lora_modules == alone.lora_modules + 6 * sum(
        encoder.num_layers for encoder in (NANO.te1, NANO.te2)
    )
    assert alone.step < along.step < long.step


def test_sd15_is_measured_too(tiny_sd15_shapes):
    step = TrainingStep(
        tiny_sd15_shapes, 64, 64, 1, rank=4, checkpointing=True, trains_text=True, **HALF
    )
    found = count_step(step)
    assert found.lora_modules == 192 + 6 * tiny_sd15_shapes.te.num_layers
    assert found.step > 2**16


def test_a_step_is_measured_once(facts, monkeypatch):
    settings = resolve("nano-cpu")
    first = estimate_memory(settings, facts, NANO)
    monkeypatch.setattr(memory_counting, "count_step", lambda step: pytest.fail("counted again"))
    assert estimate_memory(settings, facts, NANO) == first


def test_precision_and_caching_change_what_rests(facts, monkeypatch):
    found = CountedStep(
        (((32, 320), 4),), 2, unet=1000, text=300, vae=50, step=7, encoding=5, decoding=6
    )
    monkeypatch.setattr("dmm.training.forecast.memory.estimate.counted_step", lambda step: found)
    normal = estimate_memory(resolve("sdxl-24gb"), facts, SDXL)
    assert (normal.unet, normal.text_encoders, normal.vae) == (2000, 600, 0)
    assert normal.lora == 4 * 4 * 32 * 320
    assert normal.phases["a step"] == normal.resting + 7
    assert normal.phases["a preview"] == normal.resting + 4 * 50 + 6
    small = estimate_memory(
        resolve("sdxl-12gb", ["fp8_base_unet=true", "full_bf16=true"]), facts, SDXL
    )
    assert (small.unet, small.text_encoders, small.lora) == (1000, 0, normal.lora // 2)
    assert "a preview" not in small.phases


def test_unknown_parts_are_noted(facts, monkeypatch):
    found = CountedStep((), 0, 1, 1, 1, 1, 1, 1)
    monkeypatch.setattr("dmm.training.forecast.memory.estimate.counted_step", lambda step: found)
    words = ["optimizer_type=some.Optimizer", "network_module=lycoris.kohya"]
    notes = estimate_memory(resolve("sdxl-24gb", words), facts, SDXL).notes
    assert "some.optimizer" in notes[0] and "lycoris.kohya" in notes[1]


def test_a_small_card_gets_a_warning_with_what_to_change(facts, monkeypatch):
    def fake(step: TrainingStep) -> CountedStep:
        activations = GB * step.batch * (1 if step.checkpointing else 10)
        return CountedStep((), 0, GB, 0, 0, activations, 0, 0)

    monkeypatch.setattr("dmm.training.forecast.memory.estimate.counted_step", fake)
    settings = resolve("sdxl-24gb", ["gradient_checkpointing=false", "train_batch_size=4"])
    needed = estimate_memory(settings, facts, SDXL)
    assert memory_warning(settings, facts, SDXL, needed, 64 * GB) is None
    finding = memory_warning(settings, facts, SDXL, needed, 5 * GB)
    assert finding and finding.severity == "warning"
    words = "--set gradient_checkpointing=true --set train_batch_size=1"
    assert f"{words} --set gradient_accumulation_steps=4 it takes 4.0 GB" in finding.message
    tight = memory_warning(settings, facts, SDXL, needed, 2 * GB)
    assert tight and "still too much" in tight.message


def test_images_of_unknown_size_are_refused():
    with pytest.raises(ValueError, match="images' size"):
        memory_step.image_size(Facts("sdxl"))
