"""The parts of packed attention that no model shows; `test_families` compares it in models."""

from __future__ import annotations

import pytest
import torch

from dolly.train.attention import alibi_slopes

pytestmark = pytest.mark.model


@pytest.mark.parametrize("heads", [1, 2, 4, 6, 8, 12, 16, 25])
def test_the_slopes_are_those_of_bloom(heads: int) -> None:
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    alibi = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)
    torch.testing.assert_close(alibi_slopes(heads), alibi[:, 0, 1])
