"""Each test of training with PyTorch runs on one thread: on models this small threads only wait for each other."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread(bridge):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
