"""What is no number ends a run before anything is saved, so that the newest state is a good one."""

from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils import gather_object

KEPT = "what was saved before is whole"


@dataclass
class StepLosses:
    """The losses of a step, one a clip, micro-batch by micro-batch."""

    clips: list[str] = field(default_factory=list)
    losses: list[torch.Tensor] = field(default_factory=list)

    def hear(self, clips: list[str], losses: torch.Tensor) -> None:
        """Take in a micro-batch; ``losses`` is (batch,)."""
        self.clips += clips
        self.losses.append(losses.detach())

    def check(self, accelerator: Any, step: int) -> None:
        """SystemExit if one is no number, in every process, with the names of all such clips."""
        finite = torch.isfinite(torch.cat(self.losses))
        clips, self.clips, self.losses = self.clips, [], []
        if accelerator.reduce((~finite).sum(), reduction="sum") == 0:
            return
        broken = [clip for clip, good in zip(clips, finite.tolist(), strict=True) if not good]
        if accelerator.num_processes > 1:
            broken = gather_object(broken)
        raise SystemExit(
            f"step {step}: the loss is not finite for {', '.join(sorted(set(broken)))}; {KEPT}: "
            "lower the learning rate or take these clips out, then --resume"
        )


def check_weights(network: Any, step: int) -> None:
    """SystemExit if a weight is no number."""
    broken = [name for name, p in network.named_parameters() if not torch.isfinite(p).all()]
    if broken:
        raise SystemExit(
            f"step {step}: weights are no longer finite ({broken[0]} and {len(broken) - 1} more); "
            f"{KEPT}: lower the learning rate and --resume"
        )
