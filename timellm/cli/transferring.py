"""The verb `evaluate` with --data: a finished run on another table, without any training."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from timellm.cli.answer import Answer
from timellm.cli.bar import Bar
from timellm.cli.fitting import repair_of
from timellm.cli.scored import scored_board, scored_text


def evaluated_elsewhere(arguments: argparse.Namespace) -> Answer:
    """The errors of a run on the test part of another table, beside forecasters that are fitted to that one.

    Raises:
        TimeLLMError: the run or the table cannot be used, or the run is tied to its own table.
    """
    from timellm.config import parse_setting
    from timellm.errors import ConfigError
    from timellm.forecasting.transfer import config_elsewhere, score_elsewhere
    from timellm.training.checkpoint import load_config

    if arguments.stored:
        raise ConfigError("--stored shows the run's own scores, and --data asks for those on another table; give one")
    kind = load_config(arguments.run_dir).kind
    settings = dict(parse_setting(text, kind) for text in arguments.settings) | repair_of(arguments)
    config = config_elsewhere(arguments.run_dir, arguments.data.resolve(), settings)
    with tempfile.TemporaryDirectory(prefix="timellm-") as scored_in, Bar() as bar:
        found = score_elsewhere(
            arguments.run_dir,
            config,
            Path(scored_in),
            trust_remote_code=arguments.trust_remote_code,
            on_progress=bar.show,
        )
    assert found is not None, "nobody stops it"
    verdict = found.verdict(arguments.metric)
    data = {
        **scored_board(found.scores, found.comparisons, arguments.metric),
        "verdict": verdict.to_dict(),
        "config": found.config.to_dict(),
        "notes": [*found.scores.notes, *found.notes],
    }
    return Answer(data, scored_text(found.scores, verdict, by=arguments.by, said=found.notes))
