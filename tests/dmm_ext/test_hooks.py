"""Our hooks against the engine's own classes, without a training run."""

import argparse
import inspect
import json
from types import SimpleNamespace

import pytest
import torch

from dmm.pretraining.nano import NANO

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_engine_loads_our_widths_and_is_itself_again_afterwards(inside_engine, tiny_checkpoint):
    from library import sdxl_model_util, sdxl_original_unet

    from dmm_ext.any_width import use_checkpoint_sizes

    original = sdxl_original_unet.Transformer2DModel
    with use_checkpoint_sizes(NANO):
        te1, _, vae, unet, *_ = sdxl_model_util.load_models_from_sdxl_checkpoint(
            "sdxl_base_v1-0", str(tiny_checkpoint), "cpu"
        )
    assert unet.model_channels == NANO.model_channels and len(te1.text_model.encoder.layers) == 12
    assert vae.config.latent_channels == NANO.latent_channels
    assert sdxl_original_unet.Transformer2DModel is original
    assert sdxl_original_unet.MODEL_CHANNELS == 320


def test_engine_and_diffusers_agree_on_noise_and_pooled_text(inside_engine, tiny_checkpoint):
    from library import sdxl_model_util

    from dmm.checkpoints.pipeline import load_pipeline
    from dmm_ext.any_width import use_checkpoint_sizes

    with use_checkpoint_sizes(NANO):
        _, te2, _, unet, *_ = sdxl_model_util.load_models_from_sdxl_checkpoint(
            "sdxl_base_v1-0", str(tiny_checkpoint), "cpu"
        )
    pipeline = load_pipeline(tiny_checkpoint)
    noisy, text = torch.randn(1, 8, 32, 32), torch.randn(1, 77, NANO.context_dim)
    pooled, sizes = torch.randn(1, 128), torch.tensor([[256.0, 256, 0, 0, 256, 256]])
    embedded = pipeline.unet.add_time_proj(sizes.flatten()).reshape(1, -1)
    with torch.no_grad():
        theirs = unet(noisy, torch.tensor([500]), text, torch.cat([pooled, embedded], dim=1))
        conditions = {"text_embeds": pooled, "time_ids": sizes}
        ours = pipeline.unet(noisy, torch.tensor([500]), text, added_cond_kwargs=conditions).sample
    assert (theirs - ours).abs().max() < 1e-4
    transposed = te2.text_projection.weight.T  # what the trainer makes of the engine's reading
    assert torch.equal(transposed, pipeline.text_encoder_2.text_projection.weight)


def test_the_anchor_stays_first_while_the_rest_is_shuffled(inside_engine):
    dataset, subset = _anchored_dataset(), _subset(shuffle_caption=True)
    found = {dataset.process_caption(subset, "piano, slow, dark") for _ in range(60)}
    assert len(found) == 6 and all(text.startswith("mel music, ") for text in found)


def test_no_separator_reaches_the_tokeniser_without_shuffling(inside_engine):
    subset = _subset(shuffle_caption=False)
    caption = _anchored_dataset().process_caption(subset, "piano, slow")
    assert caption == "mel music, piano, slow"


def test_dropout_takes_parts_of_a_caption_but_not_the_anchor_or_takes_all(inside_engine):
    dataset, subset = _anchored_dataset(), _subset(shuffle_caption=False)
    subset.caption_tag_dropout_rate = 0.5
    found = {dataset.process_caption(subset, "piano, slow") for _ in range(60)}
    assert found == {"mel music", *(f"mel music, {x}" for x in ("piano", "slow", "piano, slow"))}
    subset.caption_dropout_rate = 1.0
    assert dataset.process_caption(subset, "piano, slow") == ""  # guidance needs no words at all


def _anchored_dataset():
    from library import train_util

    from dmm_ext.captions import strip_separators_in

    dataset = train_util.DreamBoothDataset.__new__(train_util.DreamBoothDataset)
    dataset.current_epoch = dataset.current_step = 0
    dataset.max_train_steps, dataset.replacements = 1, {}
    strip_separators_in([dataset])
    return dataset


def _subset(shuffle_caption):
    return SimpleNamespace(
        caption_prefix="mel music |||", caption_suffix=None, caption_dropout_rate=0,
        caption_dropout_every_n_epochs=0, enable_wildcard=False, shuffle_caption=shuffle_caption,
        token_warmup_step=0, caption_tag_dropout_rate=0, keep_tokens_separator="|||",
        caption_separator=",", keep_tokens=0, secondary_separator=None,
    )  # fmt: skip


def test_the_step_of_a_stock_state_is_its_schedulers(inside_engine, tmp_path):
    from dmm_ext.steps import step_of_state

    torch.save({"last_epoch": 8}, tmp_path / "scheduler.bin")
    assert step_of_state(tmp_path) == 8
    (tmp_path / "dmm_state.json").write_text(json.dumps({"step": 10, "total": 20}))
    assert step_of_state(tmp_path) == 10


def test_a_state_at_the_end_has_nothing_left_to_train(inside_engine, tmp_path):
    from dmm_ext.steps import StepCounter

    (tmp_path / "dmm_state.json").write_text(json.dumps({"step": 20, "total": 20}))
    steps = StepCounter(argparse.Namespace(max_train_steps=20))
    with pytest.raises(SystemExit, match="nothing is left to train"):
        steps.restore(tmp_path)


def test_values_carry_their_true_step_in_every_tracker(inside_engine):
    from dmm_ext.trainer import SdxlMelTrainer

    logged = []
    kinds = ("tensorboard", "wandb")
    trackers = {
        name: SimpleNamespace(name=name, log=lambda *v, name=name, **n: logged.append((name, v, n)))
        for name in kinds
    }
    accelerator = SimpleNamespace(trackers=list(trackers.values()), get_tracker=trackers.get)
    trainer = SdxlMelTrainer()
    trainer.batches = SimpleNamespace(epochs_in_steps=lambda step: 3)
    trainer.log_values(accelerator, {"loss/validation": 0.5}, 40)
    (board, values, step), (wandb, ours, own) = logged
    assert (board, step, wandb) == ("tensorboard", {"step": 40}, "wandb")
    # W&B drops a step behind its own count, which goes up with every call
    assert ours[0]["global_step"] == 40 and not own and values[0]["loss/validation"] == 0.5


@pytest.mark.parametrize(
    "settings",
    [
        {"lr_scheduler": "warmup_stable_decay", "lr_warmup_steps": 2, "lr_decay_steps": 5},
        {"lr_scheduler": "warmup_stable_decay", "lr_warmup_steps": 0.1, "lr_decay_steps": 0.25},
        {"lr_scheduler": "inverse_sqrt", "lr_warmup_steps": 2, "lr_scheduler_timescale": 3},
    ],
)
def test_a_schedule_has_the_same_rates_in_any_number_of_processes(inside_engine, settings):
    from library import train_util

    from dmm_ext.process import setup_parser
    from dmm_ext.schedules import stretch_lengths

    def rates(processes):
        args = setup_parser().parse_args([])
        vars(args).update(settings, max_train_steps=20)
        stretch_lengths(args, processes)
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
        (rate,) = train_util.get_scheduler_fix(args, optimizer, processes).lr_lambdas
        return [rate(step * processes) for step in range(20)]

    assert len(set(rates(1))) > 2 and rates(2) == pytest.approx(rates(1)) == rates(3)


def test_a_resume_puts_the_current_rate_of_each_group_in_place(inside_engine):
    from dmm_ext.resume import keep_current_hyperparameters

    def training(unet, text, decay):
        groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (unet, text)]
        optimizer = torch.optim.AdamW(groups, weight_decay=decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        wrapper = SimpleNamespace(scheduler=schedule)
        return optimizer, schedule, SimpleNamespace(_optimizers=[optimizer], _schedulers=[wrapper])

    saved, saved_schedule, _ = training(1e-3, 1e-4, 0.1)
    saved.step()
    saved_schedule.step()
    optimizer, schedule, accelerator = training(4e-3, 1e-4, 0.02)
    with keep_current_hyperparameters(accelerator):
        optimizer.load_state_dict(saved.state_dict())
        schedule.load_state_dict(saved_schedule.state_dict())
    assert [group["lr"] for group in optimizer.param_groups] == [4e-3 / 2, 1e-4 / 2]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.02, 0.02]
    optimizer.step()
    schedule.step()
    assert schedule.get_last_lr() == [4e-3 / 3, 1e-4 / 3]


@pytest.mark.parametrize(("before", "now"), [(1, 2), (2, 1), (3, 2), (2, 2)])
def test_a_resume_in_other_processes_has_the_rate_of_its_step(inside_engine, tmp_path, before, now):
    from dmm_ext.resume import load_state

    def training(processes, steps):
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: 1 - n / (10 * processes))
        for _ in range(steps * processes):
            optimizer.step()
            schedule.step()
        return optimizer, schedule

    _, saved = training(before, steps=4)
    for process in range(before):
        (tmp_path / f"random_states_{process}.pkl").touch()
    optimizer, schedule = training(now, steps=0)
    accelerator = SimpleNamespace(
        _optimizers=[optimizer],
        _schedulers=[SimpleNamespace(scheduler=schedule)],
        num_processes=now,
        load_state=lambda _: schedule.load_state_dict(saved.state_dict()),
    )
    load_state(accelerator, tmp_path)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.6)
    for _ in range(now):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5)


def test_clips_of_all_processes_are_named_whose_loss_is_not_finite(inside_engine, monkeypatch):
    from dmm_ext import finite

    accelerator = SimpleNamespace(num_processes=2, reduce=lambda count, reduction: count + 1)
    monkeypatch.setattr(finite, "gather_object", lambda ours: [*ours, "from-another"])
    losses = finite.StepLosses()
    losses.add(["a", "b"], torch.tensor([0.1, torch.inf]))
    losses.add(["c"], torch.tensor([torch.nan]))
    with pytest.raises(
        SystemExit, match=r"step 7: .* not finite for b, c, from-another; everything"
    ):
        losses.require_finite_and_clear(accelerator, 7)


def test_the_engine_still_offers_every_hook_we_override(inside_engine):
    import train_network
    from library import train_util

    from dmm_ext.trainer import MelTraining

    source = inspect.getsource(train_network)
    hooks = {name for name in vars(MelTraining) if not name.startswith("_")}
    hooks &= set(vars(train_network.NetworkTrainer))
    assert len(hooks) > 12 and all(f"self.{name}(" in source for name in hooks - {"train"})
    for name in ("get_huber_threshold_if_needed", "resume_from_local_or_hf_if_specified",
                 "save_state_on_train_end"):  # fmt: skip
        assert hasattr(train_util, name) and f"train_util.{name}(" in source
