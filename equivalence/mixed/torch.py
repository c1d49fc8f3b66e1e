"""PyTorch's mixed precision: autocast, which chooses each operation's dtype."""

import torch


def mixed(model, case, dtype):
    def f(params, x, *masks, **options):
        with torch.autocast(x.device.type, getattr(torch, dtype)):
            return model(params, x, *masks, **options)

    return f
