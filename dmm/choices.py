"""Values that options accept: one list each for the command line and the library.

Command modules read these before anything heavy is imported, so this module imports nothing heavy.
"""

from typing import Literal

WeightPrecision = Literal["fp32", "fp16", "bf16"]
"""Floating-point type of stored weights."""
Precision = Literal["auto", WeightPrecision]
"""Floating-point type that UNet and text encoders compute in; ``auto`` depends on the device."""
Offload = Literal["none", "model", "sequential"]
"""Weights kept in main memory while unused: none, all but the running network, or layer."""
Quality = Literal["fast", "default", "best"]
"""Phase retrieval: 8, 32 or 128 iterations."""
DEFAULT_FORMAT = "sdxl-512"
"""Mel format where neither the call nor any file names one."""
