"""The errors a user can act on. Each text says what was found, where, and what to do.

Pages and the command line show these as they are; any other exception is a bug and is shown as one.
"""


class TimeLLMError(Exception):
    """Root of every error that is the user's to mend."""


class DataError(TimeLLMError):
    """The table cannot be used: names the column and row, and the remedy."""


class ConfigError(TimeLLMError):
    """A setting has no meaning, or two settings contradict each other."""


class BackboneError(TimeLLMError):
    """The language model cannot be loaded, or does not support what the configuration sets."""


class CheckpointError(TimeLLMError):
    """A run folder is incomplete, damaged or made for something else."""


class JobError(TimeLLMError):
    """A background run cannot be started, stopped or found."""


class RunNotFoundError(JobError):
    """No run has this id: it was deleted, or the id is wrong."""


class LostError(JobError):
    """A process or a machine that worked on a run is gone."""


class StoreError(JobError):
    """The store of runs cannot be used at the moment: locked, on a full disk, or its server is not to be reached."""
