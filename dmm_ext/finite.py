"""Stop on NaN/Inf losses or weights before saving, so that the newest state stays usable."""

from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils import gather_object

SAVED_IS_INTACT = "everything saved before is intact"


@dataclass
class StepLosses:
    """The losses of one optimizer step, one per clip, collected over its micro-batches."""

    clips: list[str] = field(default_factory=list)
    losses: list[torch.Tensor] = field(default_factory=list)

    def add(self, clips: list[str], losses: torch.Tensor) -> None:
        """Add a micro-batch; ``losses`` is (batch,)."""
        self.clips += clips
        self.losses.append(losses.detach())

    def require_finite_and_clear(self, accelerator: Any, step: int) -> None:
        """Clear the step's losses; SystemExit, in every process, if any is NaN or Inf."""
        finite = torch.isfinite(torch.cat(self.losses))
        clips, self.clips, self.losses = self.clips, [], []
        if accelerator.reduce((~finite).sum(), reduction="sum") == 0:
            return
        broken = [clip for clip, good in zip(clips, finite.tolist(), strict=True) if not good]
        if accelerator.num_processes > 1:
            broken = gather_object(broken)
        raise SystemExit(
            f"step {step}: the loss is not finite for {', '.join(sorted(set(broken)))}; "
            f"{SAVED_IS_INTACT}: lower the learning rate or remove these clips, then --resume"
        )


def require_finite_weights(network: Any, step: int) -> None:
    """SystemExit if a weight is NaN or Inf."""
    broken = [name for name, p in network.named_parameters() if not torch.isfinite(p).all()]
    if broken:
        raise SystemExit(
            f"step {step}: weights are no longer finite ({broken[0]} and {len(broken) - 1} more); "
            f"{SAVED_IS_INTACT}: lower the learning rate and --resume"
        )
