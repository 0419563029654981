"""The collator of a forecaster."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch


def collate_windows(rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Windows, all of one length, as tensors of float32."""
    return {name: torch.tensor(np.array([row[name] for row in rows], dtype=np.float32)) for name in rows[0]}
