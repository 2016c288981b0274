"""Rules on the optimizer, the learning rate and its schedule."""

import ast

from ..facts import Facts
from ..lengths import total_steps
from ..presets import Resolved, nearest
from .base import Rule, said, said_of_those_stated

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
"""The engine's own names, read without regard to case, and the package that each needs."""
TORCH_OPTIMIZERS = ("Adadelta", "Adagrad", "Adam", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop",
                    "Rprop", "SGD")  # fmt: skip
"""Those of torch.optim, read with regard to case."""
SCHEDULERS = (
    "constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial",
    "inverse_sqrt", "cosine_with_min_lr", "warmup_stable_decay", "piecewise_constant",
)  # fmt: skip
"""What the engine's ``get_scheduler_fix`` can make; besides ``adafactor:RATE``."""
READERS = {
    "lr_scheduler_num_cycles": (
        "cosine_with_restarts",
        "cosine_with_min_lr",
        "warmup_stable_decay",
    ),
    "lr_scheduler_power": ("polynomial",),
    "lr_scheduler_min_lr_ratio": ("cosine_with_min_lr", "warmup_stable_decay"),
    "lr_scheduler_timescale": ("inverse_sqrt",),
    "lr_decay_steps": ("warmup_stable_decay",),
}
"""Which schedules read a setting."""


def unknown_optimizer(settings: Resolved, facts: Facts) -> str | None:
    """The parser lets any word pass; the engine fails after loading."""
    name = settings["optimizer_type"]
    flags = [key for key in ("use_8bit_adam", "use_lion_optimizer") if settings[key]]
    if flags and name:
        return f"{said(settings, *flags, 'optimizer_type')}: two optimizers; remove the former"
    known = {own.lower() for own in OPTIMIZERS}
    if not name or "." in name or name.lower() in known or name in TORCH_OPTIMIZERS:
        return None
    names = (*OPTIMIZERS, *TORCH_OPTIMIZERS)
    return (
        f"{said(settings, 'optimizer_type')}: neither the engine nor torch.optim has it"
        f"{nearest(name, names) or '; AdamW and AdamW8bit are usual'}"
    )


def malformed_arguments(settings: Resolved, facts: Facts) -> str | None:
    """The engine reads each as a name and a Python literal, after loading."""
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


def missing_package(settings: Resolved, facts: Facts) -> str | None:
    """Imported by the engine only when it is asked for, after loading."""
    if facts.packages is None:
        return None
    packages = {own.lower(): package for own, package in OPTIMIZERS.items()}
    wanted = {
        "optimizer_type": packages.get((settings["optimizer_type"] or "").lower()),
        "xformers": "xformers" if settings["xformers"] else None,
        "log_with": "wandb" if settings["log_with"] in ("wandb", "all") else None,
        "deepspeed": "deepspeed" if settings["deepspeed"] else None,
    }
    for key, package in wanted.items():
        if package and package not in facts.packages:
            cuda = package in ("bitsandbytes", "xformers")
            install = "uv sync --extra cuda" if cuda else f"uv pip install {package}"
            other = ", or --set optimizer_type=AdamW" if package == "bitsandbytes" else ""
            return (
                f"{said(settings, key)} needs {package}, which is not installed; {install}{other}"
            )
    return None


def no_learning_rate(settings: Resolved, facts: Facts) -> str | None:
    """The parser's default is made for training whole networks."""
    if settings.states("learning_rate", "unet_lr"):
        return None
    return (
        f"learning_rate is unset: the engine takes {settings['learning_rate']:g}, too little for a "
        "LoRA to learn anything; state it, as 1e-4"
    )


def unknown_schedule(settings: Resolved, facts: Facts) -> str | None:
    """The parser lets any word pass; the engine fails after loading."""
    name = settings["lr_scheduler"]
    if settings["lr_scheduler_type"] or name in SCHEDULERS or name.startswith("adafactor:"):
        return None
    return (
        f"{said(settings, 'lr_scheduler')}: no such schedule; known are {', '.join(SCHEDULERS)}"
        f"{nearest(name, SCHEDULERS)}"
    )


def warmup_of_a_constant_rate(settings: Resolved, facts: Facts) -> str | None:
    """The engine refuses it after loading the model."""
    constant = settings["lr_scheduler"] in ("constant",) or settings["lr_scheduler_type"]
    if not (constant and settings["lr_warmup_steps"]):
        return None
    return (
        f"{said(settings, 'lr_scheduler', 'lr_warmup_steps')}: a constant rate has no warm-up; set "
        'lr_scheduler = "constant_with_warmup", or lr_warmup_steps = 0'
    )


def endless_warmup(settings: Resolved, facts: Facts) -> str | None:
    """The rate would still be rising at the end."""
    total = total_steps(settings, facts.dataset)
    warmup = settings["lr_warmup_steps"]
    steps = int(warmup * total) if isinstance(warmup, float) else warmup
    if steps < total or not steps:
        return None
    return (
        f"{said(settings, 'lr_warmup_steps')} of {total} steps: the learning rate never reaches "
        f"{settings['learning_rate']:g}; a tenth of the steps or less is usual"
    )


def schedule_setting_without_effect(settings: Resolved, facts: Facts) -> str | None:
    """Read by other schedules only."""
    for key, names in READERS.items():
        if settings.states(key) and settings["lr_scheduler"] not in names:
            return (
                f"{said(settings, key)} does nothing for {said(settings, 'lr_scheduler')}; it is "
                f"read by {', '.join(names)}: remove it"
            )
    return None


def learning_rate_without_effect(settings: Resolved, facts: Facts) -> str | None:
    """unet_lr wins for the UNet, and nothing else learns."""
    if not (settings["network_train_unet_only"] and settings["unet_lr"] is not None):
        return None
    stated = said_of_those_stated(settings, "learning_rate")
    if not stated or settings["unet_lr"] == settings["learning_rate"]:
        return None
    return f"{stated} does nothing: {said(settings, 'unet_lr')} is the UNet's; state one of them"


ERRORS: tuple[Rule, ...] = (
    unknown_optimizer,
    malformed_arguments,
    missing_package,
    no_learning_rate,
    unknown_schedule,
    warmup_of_a_constant_rate,
    schedule_setting_without_effect,
)
WARNINGS: tuple[Rule, ...] = (endless_warmup, learning_rate_without_effect)
