"""The teacher's UNet block for each block of a student.

If the student has fewer blocks in a level, the first and last are kept and those between are evenly
spaced, as in BK-SDM (https://arxiv.org/abs/2305.15798): first and last connect to other levels.
"""

import re
from typing import Any

Names = dict[str, str]
"""Module names in diffusers, from student to teacher."""


def evenly_spread_indices(few: int, many: int) -> list[int]:
    """Evenly spaced indices of ``few`` items among ``many``, with the first and the last.

    >>> [evenly_spread_indices(*pair) for pair in ((2, 3), (1, 2), (4, 10), (3, 2))]
    [[0, 2], [0], [0, 3, 6, 9], [0, 0, 1]]
    """
    if few == 1:
        return [0]
    return [int(number * (many - 1) / (few - 1)) for number in range(few)]


def map_blocks(student: Any, teacher: Any) -> Names:
    """The teacher's module for each of a student's blocks, samplers, first and last layers.

    Blocks are ResNets, attention layers and transformer blocks. Levels and kinds of blocks that the
    teacher lacks are left out.
    """
    names: Names = {}
    levels = len(student.down_blocks), len(teacher.down_blocks)
    for level in range(min(levels)):
        up = [f"up_blocks.{count - 1 - level}" for count in levels]
        pairs = [(f"down_blocks.{level}", f"down_blocks.{level}"), (up[0], up[1])]
        for pair in pairs:
            _add_level_to_map(student, teacher, *pair, names)
    if student.mid_block is not None and teacher.mid_block is not None:
        _add_level_to_map(student, teacher, "mid_block", "mid_block", names)
    for name in ("conv_in", "time_embedding", "add_embedding", "conv_norm_out", "conv_out"):
        if hasattr(student, name) and hasattr(teacher, name):
            names[name] = name
    return names


def _add_level_to_map(student: Any, teacher: Any, ours: str, theirs: str, names: Names) -> None:
    block, other = student.get_submodule(ours), teacher.get_submodule(theirs)
    for kind in ("resnets", "attentions"):
        few, many = (len(getattr(x, kind, None) or ()) for x in (block, other))
        if not (few and many):
            continue
        for number, chosen in enumerate(evenly_spread_indices(few, many)):
            name, teachers = f"{ours}.{kind}.{number}", f"{theirs}.{kind}.{chosen}"
            names[name] = teachers
            if kind == "attentions":
                _add_transformers_to_map(student, teacher, name, teachers, names)
    for kind in ("downsamplers", "upsamplers"):
        if getattr(block, kind, None) and getattr(other, kind, None):
            names[f"{ours}.{kind}.0"] = f"{theirs}.{kind}.0"


def _add_transformers_to_map(
    student: Any, teacher: Any, ours: str, theirs: str, names: Names
) -> None:
    few, many = (len(x.get_submodule(name).transformer_blocks) for x, name in
                 ((student, ours), (teacher, theirs)))  # fmt: skip
    if few and many:
        for number, other in enumerate(evenly_spread_indices(few, many)):
            block = f"{theirs}.transformer_blocks.{other}"
            names[f"{ours}.transformer_blocks.{number}"] = block


def feature_module_pairs(names: Names, student: Any, of: str) -> Names:
    """The modules whose outputs are compared: self-attention layers, or whole blocks."""
    if of == "blocks":
        blocks = [re.match(r"(?:down|up)_blocks\.\d+|mid_block", name) for name in names]
        pairs = {m[0]: names[m.string] for m in blocks if m}
        found = {ours: re.sub(r"\.(?:resnets|attentions|downsamplers|upsamplers)\..*", "", theirs)
                 for ours, theirs in pairs.items()}  # fmt: skip
    else:
        found = {f"{ours}.attn1": f"{theirs}.attn1" for ours, theirs in names.items()
                 if re.search(r"transformer_blocks\.\d+$", ours)}  # fmt: skip
    return {ours: theirs for ours, theirs in found.items() if _has_module(student, ours)}


def _has_module(network: Any, name: str) -> bool:
    try:
        network.get_submodule(name)
    except AttributeError:
        return False
    return True
