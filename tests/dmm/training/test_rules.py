"""Every rule fires on what it is for, and shipped presets are free of errors."""

import re
from dataclasses import replace

import pytest

from dmm.errors import PresetError
from dmm.training.facts import OPTIONAL_PACKAGES, BaseFacts, DatasetFacts, Facts
from dmm.training.known_settings import known_options
from dmm.training.presets import ABLATIONS, preset_names, resolve
from dmm.training.rules import ranges
from dmm.training.rules.check import RULE_MODULES, check_settings, warnings_or_error
from dmm.training.rules.dependencies import dependencies

DATA = DatasetFacts(
    n_train=200,
    n_reg=150,
    n_val=20,
    format="sdxl-512",
    resolution=(512, 512),
    sizes=frozenset({(512, 512)}),
    tokens=(20, 77) * 175,
    stated={"shuffle_caption": True, "enable_bucket": False, "flip_aug": False},
)
SDXL = Facts("sdxl", DATA, BaseFacts(width=320), frozenset(OPTIONAL_PACKAGES))
SD15 = replace(SDXL, architecture="sd15")
NANO_DATA = replace(DATA, format="nano", resolution=(256, 256), sizes=frozenset({(256, 256)}))
NANO = Facts("sdxl", NANO_DATA, BaseFacts("v_prediction", "nano", 32), frozenset(OPTIONAL_PACKAGES))


def data(**changes):
    return replace(SDXL, dataset=replace(DATA, **changes))


def of_dataset_toml(**stated):
    return data(stated={**DATA.stated, **stated})


CPU = replace(SDXL, packages=frozenset(), device="cpu")
NO_VAL, NO_REG = data(n_val=0), data(n_reg=0)
BARE = "bare"
"""A preset that states nothing but what every training needs."""

FIRES = [
    # rule, preset, settings on top, facts
    ("out-of-range", "nano-cpu", ["spec_augment=1.5"], NANO),
    ("out-of-range", "nano-cpu", ["huber_start=0"], NANO),
    ("out-of-range", "nano-cpu", ["train_batch_size=0"], NANO),
    ("out-of-range", "nano-cpu", ["ema_decay=1"], NANO),
    ("not-in-this-trainer", "sd15-12gb", ["cache_text_encoder_outputs=true"], SD15),
    ("clip-skip-on-sdxl", "sdxl-24gb+clip-skip", [], SDXL),
    ("done-by-our-trainer", "sdxl-24gb", ["sample_every_n_steps=100"], SDXL),
    ("done-by-our-trainer", "sdxl-24gb", ["validation_split=0.1"], SDXL),
    ("unreadable-lora-file", "nano-cpu", ["save_model_as=pt"], NANO),
    ("unreadable-lora-file", "nano-cpu", ["no_metadata=true"], NANO),
    ("depends-on-max-data-loader-n-workers", "nano-cpu",
     ["persistent_data_loader_workers=true"], NANO),
    ("depends-on-gradient-checkpointing", "nano-cpu", ["cpu_offload_checkpointing=true"], NANO),
    ("precision-mismatch", "sdxl-24gb", ["full_fp16=true"], SDXL),
    ("precision-mismatch", "nano-cpu", ["fp8_base=true"], NANO),
    ("sd2-base", "nano-cpu", ["v2=true"], NANO),
    ("several-attentions", "sdxl-24gb", ["xformers=true", "sdpa=true"], SDXL),
    ("unknown-network-argument", "nano-cpu", ["network_args=conv_dims=8"], NANO),
    ("unknown-network-argument", "nano-cpu", ["network_args=conv_dim=x conv_alpha=1"], NANO),
    ("unknown-network-argument", "nano-cpu", ["network_args=conv_dim"], NANO),
    ("alpha-left-at-one", "nano-cpu", ["network_alpha="], NANO),
    ("conv-alpha-left-at-one", "nano-cpu", ["network_args=conv_dim=8"], NANO),
    ("depends-on-deepspeed", "nano-cpu", ["zero3_init_flag=true"], NANO),
    ("depends-on-ip-noise-gamma", "nano-cpu", ["ip_noise_gamma_random_strength=true"], NANO),
    ("depends-on-multires-noise-iterations", "nano-cpu", ["multires_noise_discount=0.2"], NANO),
    ("conv-alpha-without-conv-dim", "nano-cpu", ["network_args=conv_alpha=8"], NANO),
    ("depends-on-network-train-unet-only", "nano-cpu", ["text_encoder_lr=1e-4"], NANO),
    ("nothing-to-train", "nano-cpu", ["network_train_text_encoder_only=true"], NANO),
    ("text-encoders-cached-and-trained", "sdxl-12gb", ["network_train_unet_only=false"], SDXL),
    ("unknown-optimizer", "nano-cpu", ["optimizer_type=AdmW"], NANO),
    ("unknown-optimizer", "nano-cpu", ["use_8bit_adam=true"], NANO),
    ("malformed-arguments", "nano-cpu", ["optimizer_args=weight_decay=much"], NANO),
    ("malformed-arguments", "nano-cpu", ["lr_scheduler_args=power"], NANO),
    ("missing-package", "sdxl-24gb", [], replace(SDXL, packages=frozenset())),
    ("missing-package", "nano-cpu", ["log_with=wandb"], replace(NANO, packages=frozenset())),
    ("missing-package", "nano-cpu", ["optimizer_type=", "use_8bit_adam=true"],
     replace(NANO, packages=frozenset())),
    ("optimizer-without-gpu", "nano-cpu", ["optimizer_type=", "use_8bit_adam=true"], CPU),
    ("no-learning-rate", "nano-cpu", ["learning_rate="], NANO),
    ("unknown-schedule", "nano-cpu", ["lr_scheduler=cosinus"], NANO),
    ("warmup-of-a-constant-rate", "nano-cpu", ["lr_scheduler=constant", "lr_warmup_steps=9"],
     NANO),
    ("endless-warmup", "nano-cpu", ["max_train_steps=10"], NANO),
    ("depends-on-lr-scheduler", "nano-cpu", ["lr_scheduler_power=2"], NANO),
    ("huber-scale-without-effect", "nano-cpu", ["huber_scale=2"], NANO),
    ("huber-scale-without-effect", BARE, ["loss_type=huber", "huber_scale=2"], NANO),
    ("huber-c-without-effect", "nano-cpu", ["huber_c=0.2"], NANO),
    ("depends-on-huber-start", "nano-cpu", ["huber_start="], NANO),
    ("constant-over-timestep", "nano-cpu", ["huber_over=timestep"], NANO),
    ("min-snr-with-debiased", "sdxl-24gb", ["debiased_estimation_loss=true"], SDXL),
    ("prediction-against-checkpoint", "sdxl-24gb", ["v_parameterization=true"], SDXL),
    ("prediction-against-checkpoint", "nano-cpu", ["v_parameterization=false"], NANO),
    ("weights-of-the-other-prediction", "nano-cpu", ["v_pred_like_loss=0.1"], NANO),
    (
        "weights-of-the-other-prediction",
        "sdxl-24gb",
        ["scale_v_pred_loss_like_noise_pred=true"],
        SDXL,
    ),
    ("zero-snr-without-v", "sdxl-24gb", ["zero_terminal_snr=true"], SDXL),
    ("depends-on-noise-offset", "sd15-12gb", ["adaptive_noise_scale=0.1"], SD15),
    ("depends-on-spec-augment", "nano-cpu", ["spec_augment_time=0.1"], NANO),
    ("depends-on-gradient-weight", "nano-cpu", ["snr_gate=1"], NANO),
    ("no-timesteps-left", "nano-cpu", ["min_timestep=500", "max_timestep=500"], NANO),
    ("overridden-by-dataset", "nano-cpu", ["shuffle_caption=false"], NANO),
    ("overridden-by-dataset", "sdxl-24gb", ["train_batch_size=4"],
     of_dataset_toml(train_batch_size=8)),
    ("time-reversed", "nano-cpu", ["flip_aug=true"], Facts("sdxl")),
    ("time-reversed", "sdxl-24gb", [], of_dataset_toml(flip_aug=True)),
    ("augmentation-for-photographs", "sdxl-24gb", ["random_crop=true"], SDXL),
    ("augmentation-for-photographs", "sdxl-24gb", [], of_dataset_toml(color_aug=True)),
    ("masked-loss", "sdxl-24gb", ["masked_loss=true"], SDXL),
    ("cached-captions-change", "sdxl-24gb", ["cache_text_encoder_outputs=true"], SDXL),
    ("cached-captions-change", "sdxl-12gb", ["caption_dropout_rate=0.1"], SDXL),
    ("other-format", "sdxl-24gb", [], replace(SDXL, base=NANO.base)),
    ("resized-images", "sdxl-24gb", [], data(resolution=(1024, 1024))),
    ("size-not-divisible", "sdxl-24gb", [], data(sizes=frozenset({(512, 500)}))),
    ("size-not-divisible", "sd15-12gb", [],
     replace(data(sizes=frozenset({(512, 480)})), architecture="sd15")),
    ("resolution-outside-bucket-limits", "sdxl-24gb+bucketing", ["max_bucket_reso=256"], SDXL),
    ("epochs-and-steps", "sdxl-24gb", ["max_train_epochs=2", "max_train_steps=9"], SDXL),
    ("depends-on-validate-every-n-steps", "nano-cpu", ["early_stop_patience=3"], NANO),
    ("depends-on-validate-every-n-steps", "nano-cpu", ["max_validation_steps=3"], NANO),
    ("early-stop-without-clips", "sdxl-24gb", ["early_stop_patience=3"], NO_VAL),
    ("depends-on-preview-every-n-steps", "nano-cpu", ["collapse_stop=true"], NANO),
    ("alarm-on-single-clips", "sdxl-24gb", ["collapse_stop=true", "preview_count=1"], SDXL),
    ("unusable-preview-embedder", "sdxl-24gb", ["preview_embedder=clapp"], SDXL),
    ("unusable-preview-embedder", "sdxl-24gb", ["preview_embedder=clap"], SDXL),
    ("unusable-preview-embedder", "sdxl-24gb", ["preview_weights=folder"], SDXL),
    ("optimizer-without-gpu", "sdxl-24gb", [], CPU),
    ("attention-without-gpu", "nano-cpu", ["xformers=true"], replace(NANO, device="cpu")),
    ("half-precision-on-cpu", "sdxl-24gb", ["mixed_precision=fp16"], CPU),
    # warnings
    ("full-size-on-cpu", "sdxl-24gb", [], CPU),
    ("left-over-from-preset", "nano-cpu", ["lr_scheduler=constant"], NANO),
    ("preset-overridden-by-dataset", "sdxl-24gb", [], of_dataset_toml(train_batch_size=8)),
    ("preset-of-another-base", "sdxl-24gb", [], SD15),
    ("preset-of-another-base", "sd15-12gb", [], SDXL),
    ("small-images-for-a-large-base", "sdxl-24gb", [], replace(SDXL, dataset=NANO_DATA)),
    ("no-memory-saving-attention", "nano-cpu", ["sdpa=false"], NANO),
    ("fp16-vae", "sdxl-24gb", ["mixed_precision=fp16", "no_half_vae=false"], SDXL),
    ("preset-without-effect", "nano-cpu+batch-4", [], NANO),
    ("preset-without-effect", "sdxl-12gb+no-shuffle", [], SDXL),
    ("rank-unset", "nano-cpu", ["network_dim="], NANO),
    ("scale-above-one", "nano-cpu", ["network_alpha=32"], NANO),
    ("scale-above-one", "nano-cpu", ["network_args=conv_dim=4 conv_alpha=8"], NANO),
    ("high-rank", "sdxl-24gb+rank-128", [], SDXL),
    ("rank-above-width", "nano-cpu+rank-64", [], NANO),
    ("other-network", "nano-cpu", ["network_module=networks.dylora"], NANO),
    ("learning-rate-without-effect", "nano-cpu", ["unet_lr=1e-5"], NANO),
    ("depends-on-loss-type", "nano-cpu", ["loss_type=l2"], NANO),
    ("depends-on-huber-over", "nano-cpu+huber-timestep", ["huber_curve=cosine"], NANO),
    ("widening-threshold", "nano-cpu", ["huber_end=0.5"], NANO),
    ("noise-offset-moves-loudness", "sdxl-24gb+noise-offset", [], SDXL),
    ("noise-offset-moves-loudness", "sd15-12gb", ["noise_offset=0.0357"], SD15),
    ("bucketing-one-size", "sdxl-24gb+bucketing", [], SDXL),
    ("repeats-only-move-epochs", "sdxl-24gb+more-repeats", [], NO_REG),
    ("regularisation-setting-without-effect", "sdxl-24gb+no-regularisation", [], NO_REG),
    ("regularisation-setting-without-effect", "sdxl-24gb", ["prior_loss_weight=0.5"], NO_REG),
    ("unused-regularisation", "sdxl-24gb", [], data(n_reg=500)),
    ("overused-regularisation", "sdxl-24gb", [], data(n_reg=8)),
    ("long-captions", "sdxl-24gb", [], data(tokens=(20, 78))),
    ("more-tokens-than-generation-reads", "sdxl-24gb", ["max_token_length=150"], SDXL),
    ("no-intermediate-state", "sdxl-24gb", ["save_state=false"], SDXL),
    ("interval-beyond-the-end", "sdxl-24gb", ["max_train_steps=400"], SDXL),
    ("not-every-clip", "sdxl-24gb", ["max_train_steps=150"], SDXL),
    ("batch-above-dataset", "nano-cpu", [], replace(NANO, dataset=replace(NANO_DATA, n_train=1))),
    ("no-validation-clips", "sdxl-24gb", [], NO_VAL),
    ("depends-on-preview-every-n-steps", "nano-cpu", ["preview_count=4"], NANO),
    ("average-longer-than-the-run", "nano-cpu", ["ema_decay=0.9999"], NANO),
    ("no-seed", "nano-cpu", ["seed="], NANO),
]  # fmt: skip

QUIET = [
    ("optimizer-without-gpu", "sdxl-24gb", ["optimizer_type=AdamW"], CPU),
    ("optimizer-without-gpu", "sdxl-24gb", [], replace(SDXL, device="cuda")),
    ("missing-package", "sdxl-24gb", ["xformers=true"], CPU),  # would not help without a GPU
    ("half-precision-on-cpu", "sdxl-24gb", ["mixed_precision=fp16"], replace(CPU, device="mps")),
    ("full-size-on-cpu", "nano-cpu", [], replace(NANO, device="cpu")),
    ("clip-skip-on-sdxl", "sd15-12gb+clip-skip", [], SD15),
    ("alpha-left-at-one", "nano-cpu", ["network_alpha=1"], NANO),
    ("conv-alpha-left-at-one", "nano-cpu", ["network_args=conv_dim=8 conv_alpha=1"], NANO),
    ("huber-scale-without-effect", BARE,
     ["loss_type=huber", "huber_scale=2", "huber_schedule=exponential"], NANO),
    ("huber-c-without-effect", "nano-cpu", ["huber_c=0.2", "huber_schedule=snr"], NANO),
    ("constant-over-timestep", "nano-cpu+huber-timestep", [], NANO),
    ("depends-on-loss-type", "nano-cpu+mse", [], NANO),
    ("prediction-against-checkpoint", "nano-cpu", ["v_parameterization=true"], NANO),
    ("overridden-by-dataset", "nano-cpu", ["shuffle_caption=true"], NANO),
    ("cached-captions-change", "sdxl-24gb+no-shuffle", ["cache_text_encoder_outputs=true"], SDXL),
    ("epochs-and-steps", "sdxl-24gb", ["max_train_epochs=2", "max_train_steps="], SDXL),
    ("epochs-and-steps", "sdxl-24gb", ["max_train_epochs=2", "max_train_steps=400"], SDXL),
    ("long-captions", "sdxl-24gb", ["max_token_length=150"], data(tokens=(20, 78))),
    ("repeats-only-move-epochs", "sdxl-24gb+more-repeats", [], SDXL),
    ("unused-regularisation", "sdxl-24gb", ["dataset_repeats=3"], data(n_reg=500)),
    ("overused-regularisation", "sdxl-24gb", [], data(n_reg=80)),
    ("overused-regularisation", "sdxl-24gb", ["dataset_regularisation=false"], data(n_reg=8)),
    ("regularisation-setting-without-effect", "nano-cpu", [], NO_REG),
    ("missing-package", "sdxl-24gb", ["optimizer_type=adamw"], replace(SDXL, packages=frozenset())),
    ("unknown-optimizer", "nano-cpu", ["optimizer_type=my.own.Optimizer"], NANO),
    ("size-not-divisible", "sdxl-24gb", [], data(sizes=frozenset({(512, 480)}))),
    ("noise-offset-moves-loudness", "sdxl-24gb", [], SDXL),
    ("fp16-vae", "sdxl-24gb", ["no_half_vae=false"], SDXL),
    ("other-format", "sdxl-24gb", [], SDXL),
    ("small-images-for-a-large-base", "nano-cpu", [], NANO),
    ("preset-of-another-base", "nano-cpu", [], SD15),
]  # fmt: skip


@pytest.fixture
def found(tmp_path):
    """Names of the rules that fire."""

    def names(preset, settings, facts):
        if preset == BARE:
            path = tmp_path / "bare.toml"
            path.write_text('network_module = "networks.lora"\n')
            preset = str(path)
        return {finding.rule for finding in check_settings(resolve(preset, settings), facts)}

    return names


@pytest.mark.parametrize(("rule", "preset", "settings", "facts"), FIRES)
def test_a_rule_fires(found, rule, preset, settings, facts):
    assert rule in found(preset, settings, facts)


@pytest.mark.parametrize(("rule", "preset", "settings", "facts"), QUIET)
def test_a_rule_keeps_quiet_where_all_is_well(found, rule, preset, settings, facts):
    assert rule not in found(preset, settings, facts)


def test_every_rule_is_tried():
    rules = [rule for file in RULE_MODULES for rule in (*file.ERRORS, *file.WARNINGS)]
    names = [ranges.RULE, *(rule.__name__.replace("_", "-") for rule in rules)]
    rows = {row.rule for row in dependencies()}
    assert len(names) == len(set(names)) and rows.isdisjoint(names)
    assert {rule for rule, *_ in FIRES} == {*names, *rows}


def test_every_finding_is_one_line_that_says_what_to_do():
    remedies = re.compile(
        r"remove|set |unset|state |use |keep |take |raise |lower|build|add |try |is needed|as in "
        r"|widen|leave|did you mean|swap|known are|uv sync|uv pip|watch|holds as much|is usual"
        r"|is a tenth"
    )
    for rule, preset, settings, facts in FIRES:
        if preset == BARE:
            continue
        for finding in check_settings(resolve(preset, settings), facts):
            assert "\n" not in str(finding) and remedies.search(finding.message), (rule, finding)


FACTS = {"nano-cpu": NANO, "sd15-12gb": SD15}
EXPECTED = {
    "bucketing": {"bucketing-one-size"},
    "noise-offset": {"noise-offset-moves-loudness"},
    "rank-128": {"high-rank"},
}
"""Warnings that an ablation is meant to raise, on every preset."""
ON_ONE = {
    ("nano-cpu", "rank-64"): {"rank-above-width"},
    ("nano-cpu", "rank-128"): {"rank-above-width"},
    ("nano-cpu", "batch-4"): {"preset-without-effect"},
    ("nano-cpu", "more-steps"): {"no-intermediate-state"},
    ("sdxl-12gb", "no-shuffle"): {"preset-without-effect"},
    ("sd15-12gb", "no-noise-offset"): {"preset-without-effect"},
    ("nano-cpu", "no-min-snr"): {"preset-without-effect"},
}


@pytest.mark.parametrize("name", preset_names())
def test_a_shipped_preset_is_free_of_findings(name):
    assert check_settings(resolve(name), FACTS.get(name, SDXL)) == []


@pytest.mark.parametrize("name", preset_names())
def test_an_ablation_raises_what_it_is_meant_to_and_no_more(name):
    facts = FACTS.get(name, SDXL)
    for ablation in preset_names(ABLATIONS):
        findings = check_settings(resolve(f"{name}+{ablation}"), facts)
        expected = EXPECTED.get(ablation, set()) | ON_ONE.get((name, ablation), set())
        if ablation == "clip-skip" and facts.architecture == "sdxl":
            expected = {"clip-skip-on-sdxl"}
        assert {finding.rule for finding in findings} == expected, (ablation, findings)


def test_nothing_known_silences_all_that_needs_facts():
    assert check_settings(resolve("sdxl-24gb"), Facts("sdxl")) == []


def test_errors_stop_the_run_and_warnings_do_not():
    warnings = warnings_or_error(resolve("sdxl-24gb+rank-128"), SDXL)
    assert [finding.severity for finding in warnings] == ["warning"]
    with pytest.raises(PresetError, match=r"^clip_skip = 2 .clip-skip. does nothing on SDXL.*\)$"):
        warnings_or_error(resolve("sdxl-24gb+clip-skip", ["flip_aug=true"]), SDXL)


LEFTOVERS = [
    ("sdxl-24gb", ["validate_every_n_steps="], "max_validation_steps = 8 (sdxl-24gb) does nothing"),
    ("sdxl-24gb", ["max_train_epochs=10"], "max_train_steps of the preset gives way to"),
    ("sdxl-24gb", ["lr_scheduler=constant"], "lr_warmup_steps of the preset gives way to"),
    ("sdxl-24gb", ["xformers=true"], "sdpa of the preset gives way to xformers = true (--set)"),
    ("nano-cpu", ["huber_start="], "huber_end = 0.05 (base), huber_over = training (base) do"),
]


@pytest.mark.parametrize(("preset", "words", "message"), LEFTOVERS)
def test_what_a_preset_leaves_useless_is_a_warning_and_only_the_users_own_an_error(
    preset, words, message
):
    findings = check_settings(resolve(preset, words), FACTS.get(preset, SDXL))
    assert [finding.severity for finding in findings] == ["warning"]
    assert findings[0].message.startswith(message)


def test_without_a_gpu_the_error_names_the_ways_out_and_how_slow_the_cpu_is():
    with pytest.raises(PresetError) as error:
        warnings_or_error(resolve("sdxl-24gb"), CPU)
    assert str(error.value) == (
        "optimizer_type = AdamW8bit (sdxl-24gb) needs a CUDA GPU, and torch sees none here; train "
        "where there is one, or here with --set optimizer_type=AdamW (a CPU works in bf16, but "
        "took 265 s a step on two busy cores: about 9 days for 3000 steps)"
    )
    words = ["optimizer_type=AdamW", "max_train_steps=10", "save_every_n_steps=5"]
    words += ["validate_every_n_steps=", "preview_every_n_steps=", "lr_warmup_steps=1"]
    found = check_settings(resolve("sdxl-24gb", words), CPU)
    assert not [finding for finding in found if finding.severity == "error"]
    assert (
        "about 0.7 hours for 10 steps"
        in next(f for f in found if f.rule == "full-size-on-cpu").message
    )


def test_a_leftover_that_the_user_states_is_an_error_beside_the_presets_own():
    words = ["validate_every_n_steps=", "early_stop_patience=3"]
    found = check_settings(resolve("sdxl-24gb", words), SDXL)
    assert [(finding.severity, finding.message.split()[0]) for finding in found] == [
        ("error", "early_stop_patience"),
        ("warning", "max_validation_steps"),
    ]


def test_a_preset_file_of_the_users_own_is_theirs_and_not_the_shipped_one(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('extends = "sdxl-24gb"\nlr_scheduler = "constant"\n')
    settings = resolve(str(path))
    assert settings.is_stated_by_user("lr_scheduler") and not settings.is_stated_by_user(
        "lr_warmup_steps"
    )
    assert not settings.states("lr_warmup_steps")  # the engine refuses it with a constant rate
    assert not any(f.severity == "error" for f in check_settings(settings, SDXL))


def test_a_setting_is_reported_once_by_the_first_row_that_is_not_met():
    words = ["loss_type=l2", "huber_start=", "huber_curve=cosine"]
    findings = check_settings(resolve("nano-cpu", words), NANO)
    assert [finding.rule for finding in findings] == ["depends-on-loss-type"]
    assert "huber_curve = cosine (--set)" in findings[0].message


@pytest.mark.parametrize("row", dependencies(), ids=lambda row: row.settings[0])
def test_every_setting_in_the_table_is_one_of_the_options(row):
    assert set(row.settings) | set(row.needs) <= set(known_options())
