"""Settings that do nothing without another setting: a table, each row of which is a rule."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..engine_options import loss_weights
from ..known_settings import known_options
from ..run_settings import RunSettings
from ..values import toml_value
from .base import Finding

HUBER = ("huber", "smooth_l1")
"""Values of ``loss_type`` that have a threshold."""
HUBER_REMEDY = 'put +mse on the preset for the mean squared error, or set loss_type = "huber"'


@dataclass(frozen=True)
class Dependency:
    """Settings that do nothing unless another one is on, or has one of certain values."""

    settings: tuple[str, ...]
    needs: tuple[str, ...]
    """Any one of these is enough."""
    values: tuple[Any, ...] = ()
    """Values of the needed setting; empty: any but unset, 0 and false."""
    severity: str = "error"
    remedy: str = ""

    @property
    def rule(self) -> str:
        """Name of the rule in findings."""
        return f"depends-on-{self.needs[0]}".replace("_", "-")

    def is_met(self, settings: RunSettings) -> bool:
        """Whether the settings have an effect."""
        return any(
            settings[key] in self.values if self.values else settings[key] for key in self.needs
        )

    def message(self, settings: RunSettings, idle: Iterable[str]) -> str:
        """One sentence: the idle settings, the reason and the remedy."""
        idle = list(idle)
        one = len(idle) == 1
        verb, pronoun = ("does", "it") if one else ("do", "these")
        start = f"{settings.quote(*idle)} {verb} nothing"
        if self.values:
            values = " or ".join(toml_value(value) for value in self.values)
            remedy = self.remedy or f"set {self.needs[0]} = {values}, or remove {pronoun}"
            return f"{start} with {settings.quote(*self.needs)}; {remedy}"
        other = "that" if len(self.needs) == 1 else "one of them"
        return f"{start} without {' or '.join(self.needs)}; set {other} too, or remove {pronoun}"


def dependencies() -> tuple[Dependency, ...]:
    """All rows; if several rows of a setting are not met, only the first one reports it."""
    previews = tuple(
        key
        for key in known_options()
        if key.startswith(("preview_", "collapse_"))
        and key not in ("preview_every_n_steps", "collapse_stop")
    )
    minimum = ("cosine_with_min_lr", "warmup_stable_decay")
    return (
        Dependency(("cpu_offload_checkpointing",), ("gradient_checkpointing",)),
        Dependency(("persistent_data_loader_workers",), ("max_data_loader_n_workers",)),
        Dependency(
            ("zero3_init_flag", "zero3_save_16bit_model", "fp16_master_weights_and_gradients"),
            ("deepspeed",),
        ),
        Dependency(("text_encoder_lr",), ("network_train_unet_only",), (False,)),
        Dependency(
            ("lr_scheduler_num_cycles",), ("lr_scheduler",), ("cosine_with_restarts", *minimum)
        ),
        Dependency(("lr_scheduler_power",), ("lr_scheduler",), ("polynomial",)),
        Dependency(("lr_scheduler_min_lr_ratio",), ("lr_scheduler",), minimum),
        Dependency(("lr_scheduler_timescale",), ("lr_scheduler",), ("inverse_sqrt",)),
        Dependency(("lr_decay_steps",), ("lr_scheduler",), ("warmup_stable_decay",)),
        Dependency(
            ("huber_start", "huber_end", "huber_over", "huber_curve", "huber_schedule", "huber_c",
             "huber_scale"),
            ("loss_type",), HUBER, "warning", HUBER_REMEDY,
        ),
        Dependency(("huber_end", "huber_over", "huber_curve"), ("huber_start",)),
        Dependency(("huber_curve",), ("huber_over",), ("training",), "warning"),
        Dependency(("adaptive_noise_scale", "noise_offset_random_strength"), ("noise_offset",)),
        Dependency(("ip_noise_gamma_random_strength",), ("ip_noise_gamma",)),
        Dependency(("multires_noise_discount",), ("multires_noise_iterations",)),
        Dependency(("spec_augment_time", "spec_augment_mel"), ("spec_augment",)),
        Dependency(("snr_gate",), (*loss_weights(), "mel_tilt")),
        Dependency(
            ("early_stop_patience", "early_stop_min_delta", "max_validation_steps"),
            ("validate_every_n_steps",),
        ),
        Dependency(("collapse_stop",), ("preview_every_n_steps",)),
        Dependency(previews, ("preview_every_n_steps",), severity="warning"),
    )  # fmt: skip


def check_dependencies(settings: RunSettings) -> list[Finding]:
    """Findings of all rows, on stated settings that are not unset, 0 or false.

    Settings that a shipped preset brings are never an error.
    """
    findings: list[Finding] = []
    reported: set[str] = set()
    for row in dependencies():
        if row.is_met(settings):
            continue
        idle = [k for k in row.settings if settings.states(k) and settings[k] and k not in reported]
        wrong = [key for key in idle if row.severity == "error" and settings.is_stated_by_user(key)]
        harmless = [key for key in idle if key not in wrong]
        for keys, severity in ((wrong, "error"), (harmless, "warning")):
            if keys:
                findings.append(Finding(row.rule, severity, row.message(settings, keys)))
        reported.update(idle)
    return findings
