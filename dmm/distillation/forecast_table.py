"""A forecast as a table for the terminal."""

from rich.console import Console
from rich.table import Table

from ..training.forecast.forecast import readable_time
from ..training.forecast.memory.estimate import readable_size
from .forecast import Forecast


def print_forecast(found: Forecast) -> None:
    """Print a table, and an error for disk or memory that is not enough."""
    table = Table(
        "part", "weights", "steps", "clips", "disk", "memory", "about", title=found.device
    )
    for part in found.parts:
        table.add_row(
            part.name, f"{part.weights / 1e6:.3g} M", f"{part.steps:,}", f"{part.clips:,}",
            readable_size(part.disk), readable_size(part.memory), readable_time(part.seconds),
        )  # fmt: skip
    Console().print(table)
    disk, free = readable_size(found.disk), readable_size(found.free_disk)
    memory, room = readable_size(found.memory), readable_size(found.room)
    total = readable_time(sum(part.seconds for part in found.parts))
    print(f"in all about {total}, {disk} of disk ({free} are free), {memory} of memory (of {room})")
    if found.disk > found.free_disk:
        print("error: too little disk; make room, or lower store and clips in the preset")
    if found.memory > found.room:
        print(
            "error: too little memory; lower batch_size or use --accumulate, store the teacher's "
            "outputs (store), or --offload model"
        )
