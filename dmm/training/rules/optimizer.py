"""Rules on the optimizer, its package, the learning rate and its schedule."""

import ast

from ..facts import Facts
from ..known_settings import did_you_mean
from ..lengths import total_steps
from ..run_settings import RunSettings
from .base import Rule

OPTIMIZERS = {
    "AdamW8bit": "bitsandbytes", "SGDNesterov8bit": "bitsandbytes", "Lion8bit": "bitsandbytes",
    "PagedAdamW8bit": "bitsandbytes", "PagedLion8bit": "bitsandbytes",
    "PagedAdamW": "bitsandbytes", "PagedAdamW32bit": "bitsandbytes",
    "Lion": "lion_pytorch", "Prodigy": "prodigyopt",
    "DAdaptation": "dadaptation", "DAdaptAdamPreprint": "dadaptation",
    "DAdaptAdaGrad": "dadaptation", "DAdaptAdam": "dadaptation", "DAdaptAdan": "dadaptation",
    "DAdaptAdanIP": "dadaptation", "DAdaptLion": "dadaptation", "DAdaptSGD": "dadaptation",
    "RAdamScheduleFree": "schedulefree", "AdamWScheduleFree": "schedulefree",
    "SGDScheduleFree": "schedulefree", "AdamW": None, "Adafactor": None, "SGDNesterov": None,
}  # fmt: skip
"""The engine's names, case-insensitive, and the package that each needs."""
FLAGS = {"use_8bit_adam": "AdamW8bit", "use_lion_optimizer": "Lion"}
"""Flags of the engine, each with the optimizer that it chooses."""
TORCH_OPTIMIZERS = ("Adadelta", "Adagrad", "Adam", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop",
                    "Rprop", "SGD")  # fmt: skip
"""Names of torch.optim, case-sensitive."""
SCHEDULERS = (
    "constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial",
    "inverse_sqrt", "cosine_with_min_lr", "warmup_stable_decay", "piecewise_constant",
)  # fmt: skip
"""Schedules of the engine's ``get_scheduler_fix``; ``adafactor:RATE`` is another."""


def unknown_optimizer(settings: RunSettings, facts: Facts) -> str | None:
    """Report an optimizer that does not exist, or two of them."""
    name = settings["optimizer_type"]
    flags = [key for key in FLAGS if settings[key]]
    if flags and name:
        return f"{settings.quote(*flags, 'optimizer_type')}: two optimizers; remove the former"
    known = {ours.lower() for ours in OPTIMIZERS}
    if not name or "." in name or name.lower() in known or name in TORCH_OPTIMIZERS:
        return None
    names = (*OPTIMIZERS, *TORCH_OPTIMIZERS)
    return (
        f"{settings.quote('optimizer_type')}: neither the engine nor torch.optim has it"
        f"{did_you_mean(name, names) or '; AdamW and AdamW8bit are usual'}"
    )


def malformed_arguments(settings: RunSettings, facts: Facts) -> str | None:
    """Report an argument of optimizer or schedule that is not a name and a Python literal."""
    for key in ("optimizer_args", "lr_scheduler_args"):
        for argument in settings[key] or ():
            name, equals, value = argument.partition("=")
            try:
                ast.literal_eval(value)
            except (ValueError, SyntaxError):
                equals = ""
            if not (name and equals) or "=" in value:
                return (
                    f"{key}: {argument!r}: a name and a number, tuple or True is needed, as in "
                    "weight_decay=0.01"
                )
    return None


def optimizer_name(settings: RunSettings) -> str:
    """The optimizer of the run, in lower case as the engine compares names."""
    return (FLAGS.get(optimizer_key(settings)) or settings["optimizer_type"] or "AdamW").lower()


def optimizer_key(settings: RunSettings) -> str:
    """The setting that chooses the optimizer: one of ``FLAGS``, else ``optimizer_type``."""
    return next((key for key in FLAGS if settings[key]), "optimizer_type")


def package_of_optimizer(settings: RunSettings) -> str | None:
    """The package that the optimizer needs beside torch and transformers; None if it needs none."""
    packages = {name.lower(): package for name, package in OPTIMIZERS.items()}
    return packages.get(optimizer_name(settings))


def adamw_instead(settings: RunSettings) -> str:
    """The options that replace the optimizer by torch's AdamW."""
    flags = "".join(f"--set {key}=false " for key in FLAGS if settings[key])
    return f"{flags}--set optimizer_type=AdamW"


def missing_package(settings: RunSettings, facts: Facts) -> str | None:
    """Report a setting whose package is not installed, but not one of CUDA without a CUDA GPU."""
    if facts.packages is None:
        return None
    wanted = {
        optimizer_key(settings): package_of_optimizer(settings),
        "xformers": "xformers" if settings["xformers"] else None,
        "log_with": "wandb" if settings["log_with"] in ("wandb", "all") else None,
        "deepspeed": "deepspeed" if settings["deepspeed"] else None,
    }
    for key, package in wanted.items():
        cuda = package in ("bitsandbytes", "xformers")
        if cuda and facts.device not in (None, "cuda"):
            continue  # the rules of machine.py report it
        if package and package not in facts.packages:
            install = "uv sync --extra cuda" if cuda else f"uv pip install {package}"
            other = f", or {adamw_instead(settings)}" if package == "bitsandbytes" else ""
            return (
                f"{settings.quote(key)} needs {package}, which is not installed; {install}{other}"
            )
    return None


def no_learning_rate(settings: RunSettings, facts: Facts) -> str | None:
    """Report an unset learning rate: the engine's default is for training whole networks."""
    if settings.states("learning_rate", "unet_lr"):
        return None
    return (
        f"learning_rate is unset: the engine uses {settings['learning_rate']:g}, too little for a "
        "LoRA; set it, as 1e-4"
    )


def unknown_schedule(settings: RunSettings, facts: Facts) -> str | None:
    """Report a learning rate schedule that does not exist."""
    name = settings["lr_scheduler"]
    if settings["lr_scheduler_type"] or name in SCHEDULERS or name.startswith("adafactor:"):
        return None
    return (
        f"{settings.quote('lr_scheduler')}: no such schedule; known are {', '.join(SCHEDULERS)}"
        f"{did_you_mean(name, SCHEDULERS)}"
    )


def warmup_of_a_constant_rate(settings: RunSettings, facts: Facts) -> str | None:
    """Report warm-up steps of a constant learning rate."""
    constant = settings["lr_scheduler"] in ("constant",) or settings["lr_scheduler_type"]
    if not (constant and settings["lr_warmup_steps"]):
        return None
    return (
        f"{settings.quote('lr_scheduler', 'lr_warmup_steps')}: a constant rate has no warm-up; set "
        'lr_scheduler = "constant_with_warmup", or lr_warmup_steps = 0'
    )


def endless_warmup(settings: RunSettings, facts: Facts) -> str | None:
    """Report a warm-up that is as long as the run."""
    total = total_steps(settings, facts.dataset)
    warmup = settings["lr_warmup_steps"]
    steps = int(warmup * total) if isinstance(warmup, float) else warmup
    if steps < total or not steps:
        return None
    return (
        f"{settings.quote('lr_warmup_steps')} of {total} steps: the learning rate never reaches "
        f"{settings['learning_rate']:g}; a tenth of the steps or less is usual"
    )


def learning_rate_without_effect(settings: RunSettings, facts: Facts) -> str | None:
    """Report ``learning_rate`` beside ``unet_lr`` where only the UNet is trained."""
    if not (settings["network_train_unet_only"] and settings["unet_lr"] is not None):
        return None
    stated = settings.quote_stated("learning_rate")
    if not stated or settings["unet_lr"] == settings["learning_rate"]:
        return None
    return f"{stated} does nothing: {settings.quote('unet_lr')} is the UNet's; state one of them"


ERRORS: tuple[Rule, ...] = (
    unknown_optimizer,
    malformed_arguments,
    missing_package,
    no_learning_rate,
    unknown_schedule,
    warmup_of_a_constant_rate,
)
WARNINGS: tuple[Rule, ...] = (endless_warmup, learning_rate_without_effect)
