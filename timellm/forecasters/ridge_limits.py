"""How much a ridge reads at once; apart from the ridge, so that an estimate of it loads no torch."""

MOST_LAGS = 2048
"""Rows of the context that are read at most, the latest ones: time and memory grow with their cube and square."""
BATCH_VALUES = 4_000_000
"""Numbers of contexts and targets in one batch of windows."""
MOST_CALENDAR = 180
"""Columns of the calendar at most: hours of the week, and months."""
