import time

import torch

from timellm.sizing.probe import _seconds

_WAIT_S = 0.02


def test_time_in_which_other_programs_have_the_core_does_not_count():
    """Waiting stands for that: neither takes processor time of this thread."""
    measured = _seconds(lambda: time.sleep(_WAIT_S), torch.device("cpu"))
    assert measured < _WAIT_S / 4


def test_measuring_leaves_the_number_of_threads_as_it_was():
    before = torch.get_num_threads()
    _seconds(lambda: None, torch.device("cpu"))
    assert torch.get_num_threads() == before
