"""Whether a dataset has enough regularisation clips to train on.

sd-scripts uses as many regularisation clips as training clips in an epoch and repeats them to get
there: 8 clips of one track would be half of all that a model sees.
"""

from dmm.training.trainer_constants import MOST_REG_REPEATS


def too_few_reg(n_train: int, n_reg: int, reg_repeats: int = 1) -> str | None:
    """Reason to leave out the regularisation clips; None if they are enough, or if there are none.

    ``reg_repeats`` above 1 was asked for, so they are used.

    >>> too_few_reg(173, 8)
    'each of 8 clips would be seen 22 times as often as each of the 173 training clips'
    >>> too_few_reg(100, 25)
    """
    if not n_reg or reg_repeats > 1 or n_train <= MOST_REG_REPEATS * n_reg:
        return None
    clips = "1 clip" if n_reg == 1 else f"{n_reg} clips"
    times = f"{n_train / n_reg:.0f} times"
    return f"each of {clips} would be seen {times} as often as each of the {n_train} training clips"
