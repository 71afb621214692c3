"""How tests are run."""

import os

import torch


def test_one_thread_calculates_unless_the_environment_says_more():
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])
