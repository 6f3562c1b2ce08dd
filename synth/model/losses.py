"""The losses of meta-learning and tuning: hinge, feature matching, match, and the preset weights.

Source: Zakharov 2019, §3.2, eqs. 2–7. The perceptual (content) terms are in :mod:`synth.model.content_loss`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1−r) on real frames plus max(0, 1+r) on generated ones. Source: eq. 7. real, fake : (N,)."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """−r: the generator's part of the hinge loss. Source: eq. 4."""
    return -fake.mean()


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean L1 between discriminator block outputs; the real side is a constant. Differences are taken in float32."""
    terms = [(f.float() - r.detach().float()).abs().mean() for r, f in zip(real, fake, strict=True)]
    return torch.stack(terms).sum() / len(terms)


def match(embedding: Tensor, rows: Tensor) -> Tensor:
    """|ê_i − W_i|₁ (mean over entries): pulls ê to the discriminator's row, so that ê can stand in for a new person's W.

    The row is a constant here: W is the discriminator's, and moves by its loss alone. embedding, rows : (B, N).
    """
    return (embedding - rows.detach()).abs().mean()
