"""How much a ridge reads at once; without torch, so that an estimate of it loads none."""

MOST_LAGS = 2048
"""Rows of the context that are read at most, the latest ones: time and memory grow with their cube and square."""
BATCH_VALUES = 4_000_000
"""Numbers of contexts and targets in one batch of windows."""
MOST_CALENDAR = 180
"""Columns of the calendar at most: hours of the week, and months."""
RECENT_ROWS = (1, 2, 4, 8)
"""The mean of so many of the last rows less that of twice as many tells how a channel moved lately."""
RECENT_COLUMNS = len(RECENT_ROWS)
"""Of each channel."""
MOST_RECENT_CHANNELS = 64
"""With more channels than these, what others did lately is not read: there are four columns of each."""
LEVEL_COLUMNS = 2
"""Columns that tell the level of a window: its mean, and a one."""
MOST_OWN_MAPS = 32_000_000
"""Weights at most of all maps together, where channels have maps of their own (256 MB)."""
MOST_OWN_WORK = 2e10
"""The cube of the features times the channels at most, for which maps by channel are tried without being asked for:
about a minute on two cores."""
MOST_TRIED_WINDOWS = 100_000
"""Windows at most with which it is decided what a map should know; neighbours tell nearly the same."""


def may_have_own_maps(channels: int, *, features: int, horizon: int) -> bool:
    """Whether maps by channel are tried where the settings leave it open."""
    return channels > 1 and channels * features**3 <= MOST_OWN_WORK and channels * features * horizon <= MOST_OWN_MAPS
