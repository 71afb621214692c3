"""The verbs of the command line in the order of its help, each with its arguments and the function that it calls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from timellm.cli import (
    anomalies,
    attending,
    backtesting,
    carrying,
    cluster,
    comparing,
    ensembling,
    estimate,
    explaining,
    fitting,
    ledger,
    many,
    naming,
    overview,
    prompting,
    protocol,
    receipt,
    reporting,
    results,
    serving,
    twins,
)
from timellm.cli.answer import Answer
from timellm.cli.arguments import Parser, force, repair, settings, starting_point, trust, whole
from timellm.evaluation.metrics import DIMENSIONS, METRICS

_Verb = Callable[[argparse.Namespace], Answer]
_AddVerb = Callable[[str, _Verb, str], Parser]
"""Adds a verb by its name, its function and its help."""


def parser() -> Parser:
    """The parser of the command line; the namespace that it fills has the chosen function as `verb`."""
    made = Parser(prog=_typed(), description="Fine-tune and use Time-LLM forecasters.")
    verbs = made.add_subparsers(title="verbs", required=True, metavar="VERB")

    def verb(name: str, function: _Verb, text: str) -> Parser:
        one = verbs.add_parser(name, help=text, description=text)
        one.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")
        one.set_defaults(verb=function)
        return one

    for add in (_training, _results, _explaining, _workspace, _queue, _program):
        add(verb)
    return made


def _typed() -> str:
    """What starts this program, as the user typed it."""
    return "timellm" if Path(sys.argv[0]).name == "timellm" else "python -m timellm"


def _training(verb: _AddVerb) -> None:
    """Tables, and training on them here and now."""
    one = verb("inspect", overview.inspect, "Say what a CSV file holds and how it would be read.")
    one.add_argument("table", type=Path, metavar="DATA.csv")
    settings(one)
    repair(one)

    one = verb("fit", fitting.fit, "Fine-tune on a CSV file, here and now. Ctrl-C stops and keeps the best checkpoint.")
    one.add_argument("table", type=Path, metavar="DATA.csv")
    one.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="new or empty folder for the result")
    starting_point(one)

    one = verb("resume", fitting.resume, "Go on with a run that was interrupted or stopped, from where it stood.")
    one.add_argument("run_dir", type=Path, metavar="DIR")
    trust(one)

    one = verb("estimate", estimate.estimate, "Say what memory and time a run would take here, without training it.")
    one.add_argument("table", type=Path, metavar="DATA.csv")
    one.add_argument("--trial", action="store_true", help="try one step in a process of its own, and go by it")
    starting_point(one)


def _results(verb: _AddVerb) -> None:
    """What a run forecasts, and how good that is."""
    one = verb("forecast", results.forecast, "Forecast beyond the end of the run's table, or of a newer one.")
    one.add_argument("run_dir", type=Path, metavar="DIR")
    one.add_argument("--data", type=Path, metavar="NEW.csv", help="newer table with the same columns")
    one.add_argument("--known", type=Path, metavar="AHEAD.csv", help="values of columns known ahead, by timestamp")
    settings(one, "how the newer table is read: decimal, encoding or header, such as decimal=comma")
    repair(one, "repair the newer table by these steps instead of the run's own; give it again for the next step")
    one.add_argument("--out", type=Path, metavar="F.csv", help="columns unique_id, ds, yhat")
    one.add_argument("--keep", action="store_true", help="keep it in the ledger, to be scored when the table has grown")
    one.add_argument("--by", metavar="NAME", help="who keeps it; this machine's user when not given")
    one.add_argument("--note", default="", metavar="TEXT", help="what the ledger says beside it")
    one.add_argument("--levels", metavar="80,95", help="bands in percent: columns yhat-lo-80, yhat-hi-80 and so on")
    force(one)
    trust(one)

    ledger.arguments_of(verb("ledger", ledger.ledger, "List, score and adjust the forecasts that were kept."))

    one = verb("anomalies", anomalies.anomalies, "List values outside the band of one-step forecasts.")
    one.add_argument("run_dir", type=Path, metavar="DIR")
    one.add_argument("--level", type=whole(10, 99), default=95, metavar="N", help="of the band, in percent (95)")
    one.add_argument("--data", type=Path, metavar="NEW.csv", help="look at the rows of a newer table instead")
    settings(one, "how the newer table is read: decimal, encoding or header, such as decimal=comma")
    repair(one, "repair the newer table by these steps instead of the run's own; give it again for the next step")
    one.add_argument("--out", type=Path, metavar="F.csv", help="write all of them there")
    force(one)
    trust(one)

    text = "Write runs as one HTML file that needs no network, or as a Python program that repeats them."
    reporting.arguments_of(verb("report", reporting.report, text))

    one = verb(
        "evaluate", results.evaluate, "Forecast every test window and show the errors of every model and the verdict."
    )
    one.add_argument("run_dir", type=Path, metavar="DIR")
    one.add_argument("--by", choices=("overall", "channel", "step"), default="overall", help="one row for each")
    one.add_argument("--metric", choices=METRICS, default="mae", help="what the verdict goes by (mae)")
    one.add_argument("--stored", action="store_true", help="show what the run has kept, without forecasting again")
    one.add_argument(
        "--data", type=Path, metavar="OTHER.csv", help="another table: the run forecasts its test part, untrained on it"
    )
    settings(one, "how the other table is read and divided, such as decimal=comma or split=8640/2880/2880")
    repair(one)
    trust(one)

    one = verb("backtest", backtesting.backtest, "Say where a run's errors are, and which windows are worst and best.")
    one.add_argument("run_dir", type=Path, metavar="DIR")
    one.add_argument("--by", choices=("overall", *DIMENSIONS), default="overall", help="one row for each")
    one.add_argument("--step", type=whole(1, 1_000_000), default=1, metavar="N", help="rows between cut-offs (1)")
    one.add_argument(
        "--cutoffs",
        type=whole(1, 1_000_000),
        metavar="N",
        help="the last N cut-offs only; 1 is the last horizon alone",
    )
    one.add_argument("--metric", choices=METRICS, default="mae", help="what windows are ranked by (mae)")
    one.add_argument("--worst", type=whole(1, 1000), default=5, metavar="N", help="worst and best windows to name (5)")
    one.add_argument("--retrain", type=whole(2, 24), metavar="N", help="train the run again at each of N folds")
    one.add_argument(
        "--window", choices=("expanding", "sliding"), default="expanding",
        help="with --retrain: learn from all rows before a fold, or from as many as the run (expanding)",
    )  # fmt: skip
    one.add_argument(
        "--again", action="store_true", help="with --retrain: start folds again that failed or were stopped"
    )
    one.add_argument("--wait", action="store_true", help="with --retrain: until they have finished")


def _explaining(verb: _AddVerb) -> None:
    """What a run attends to, is told, and owes to its language model."""
    one = verb("attention", attending.attention, "Draw which text prototypes patches attend to: one of five views.")
    one.add_argument("run_dir", type=Path, metavar="DIR")
    one.add_argument(
        "--view", choices=attending.VIEWS, default="heatmap",
        help="heatmap of a window (when not given); heads side by side; when: patches of an hour, day, month or shape "
        "against all; beside: another channel or run; over training",
    )  # fmt: skip
    one.add_argument("--when", metavar="WHAT", help="hours as 22-5, weekend, March, peak, rise, flat ...")
    one.add_argument("--beside", metavar="CHANNEL|DIR", help="the other channel, or the folder of the other run")
    one.add_argument(
        "--out", type=Path, required=True, metavar="F.png",
        help="a picture (.png, .svg, .pdf), all numbers (.csv, .parquet), or of the heatmap a page (.html)",
    )  # fmt: skip
    force(one)
    one.add_argument("--channel", help="the first one when not given")
    one.add_argument(
        "--head", metavar="N", help="counted from 1, or max for the maximum over heads; their mean when not given"
    )
    one.add_argument(
        "--deviation", action="store_true", help="show weights less the run's average over its test windows"
    )
    one.add_argument(
        "--cutoff", metavar="TIME", help="last timestamp of the window; the end of the data when not given"
    )
    one.add_argument(
        "--prototypes", type=whole(1, 1000), default=16, metavar="N", help="how many to draw, most attended first (16)"
    )

    one = verb("prompt", prompting.prompt, "Show the prompt of a window, and what it does to the forecast.")
    one.add_argument("run_dir", type=Path, metavar="DIR")
    one.add_argument("--channel", help="the first one when not given")
    one.add_argument(
        "--cutoff", metavar="TIME", help="last timestamp of the window; the end of the data when not given"
    )
    does = one.add_mutually_exclusive_group()
    settings(does, "let the prompt say something else, such as description=Sales or minimum=-9, and forecast with it")
    does.add_argument(
        "--windows", type=whole(1, 100_000), metavar="N", help="leave out each sentence in turn, in N test windows"
    )
    does.add_argument("--attention", action="store_true", help="say which words of the prompt the patches read")
    one.add_argument(
        "--out", type=Path, metavar="F", help="a picture (.png, .svg, .pdf), or the numbers (.csv, .parquet)"
    )
    force(one)
    trust(one)

    one = verb(
        "faithfulness",
        explaining.faithfulness,
        "Say whether attention explains a run's forecasts, by masking what it attends most.",
    )
    one.add_argument("run_dir", type=Path, metavar="DIR")
    one.add_argument("--channel", help="test windows of this one only; of all when not given")
    one.add_argument("--cutoff", metavar="TIME", help="show the window of --channel with this last timestamp, too")
    one.add_argument("--windows", type=whole(1, 1000), default=64, metavar="N", help="test windows, evenly spread (64)")
    one.add_argument("--out", type=Path, metavar="F.png", help="the curves (.png, .svg, .pdf, .csv or .parquet)")
    force(one)
    trust(one)

    one = verb(
        "dictionary", naming.dictionary, "Say which words a run's prototypes are, and how much they are attended."
    )
    one.add_argument("run_dir", type=Path, metavar="DIR")
    one.add_argument(
        "--out", type=Path, metavar="F.csv", help="all numbers (.csv, .parquet), or a picture (.png, .svg, .pdf)"
    )
    force(one)
    one.add_argument("--search", default="", metavar="WORD", help="only prototypes with this among their words")
    one.add_argument(
        "--top", type=whole(1, 1000), default=16, metavar="N", help="how many to show, most attended first (16)"
    )

    one = verb(
        "twins", twins.twins, "Say whether a run's language model is worth its cost: train it without each part."
    )
    one.add_argument("run_dir", type=Path, metavar="DIR")
    one.add_argument("--again", action="store_true", help="start twins again that failed or were stopped")
    one.add_argument("--wait", action="store_true", help="until they have finished; Ctrl-C ends this command, not them")


def _workspace(verb: _AddVerb) -> None:
    """The runs of this workspace, and the experiments of papers."""
    text = "Run the experiment of a paper on the sets in a folder, or list those that there are."
    verb("protocol", protocol.protocol, text).later = protocol.arguments_of

    one = verb("runs", overview.runs, "List the runs of this workspace, newest first.")
    one.add_argument("--limit", type=whole(1, 1_000_000), default=50, metavar="N", help="at most so many (50)")

    one = verb("compare", comparing.compare, "Set runs of this workspace side by side: errors, costs and settings.")
    one.add_argument("runs", nargs="+", metavar="RUN", help="two or more ids, as 'runs' shows them")
    one.add_argument("--all", action="store_true", help="settings that are the same, too")
    one.add_argument("--metric", choices=METRICS, default="mae", help="what the leaderboard is ranked by (mae)")
    one.add_argument("--out", type=Path, metavar="F.csv", help="write every measure and setting there")
    force(one)

    one = verb("ensemble", ensembling.ensemble, "Make the mean or the median of finished runs a run of its own.")
    one.add_argument("runs", nargs="+", metavar="RUN", help="two to eight ids or folders, scored on the same windows")
    one.add_argument("--run-dir", type=Path, required=True, metavar="DIR", help="new or empty folder for the result")
    one.add_argument("--how", choices=("mean", "median"), default="mean", help="how forecasts are combined (mean)")

    one = verb("export", carrying.export_run, "Write a run of this workspace as one archive, to be imported elsewhere.")
    one.add_argument("run", metavar="RUN", help="its id, as 'runs' shows it")
    one.add_argument("file", type=Path, nargs="?", metavar="FILE", help="RUN.zip when not given")
    force(one)
    one.add_argument("--without-table", action="store_true", help="leave the CSV out")

    one = verb("import", carrying.import_run, "Take a run from an archive into this workspace, after checking it.")
    one.add_argument("file", type=Path, metavar="FILE")


def _queue(verb: _AddVerb) -> None:
    """Runs in the background, here or on a cluster."""
    one = verb("submit", cluster.submit, "Leave a run to this machine's queue, or to a cluster, and come back at once.")
    one.add_argument("table", type=Path, metavar="DATA.csv")
    one.add_argument("--name", help="what the run is called in the list")
    one.add_argument("--on", choices=("here", "cluster"), default="here", help="cluster: the one TIMELLM_RAY names")
    one.add_argument(
        "--workers", type=whole(1, 1000), default=1, metavar="N", help="processes that train it together there"
    )
    starting_point(one)

    one = verb(
        "follow", cluster.follow, "Show the progress of a run until it ends. Ctrl-C ends this command, not the run."
    )
    one.add_argument("run", metavar="RUN", help="its id, as 'runs' shows it")

    one = verb("stop", cluster.stop, "Ask a run to stop and keep its best, wherever it works.")
    one.add_argument("run", metavar="RUN")
    one.add_argument("--now", action="store_true", help="end its processes at once; nothing is evaluated")

    one = verb("log", cluster.log, "Show the end of a run's log, wherever it works.")
    one.add_argument("run", metavar="RUN")
    one.add_argument("--lines", type=whole(1, 1_000_000), default=50, metavar="N", help="at most so many (50)")

    one = verb("forecast-many", many.forecast_many, "Forecast every series of files with columns unique_id, ds, y.")
    one.add_argument("run_dir", type=Path, metavar="DIR")
    one.add_argument("--data", required=True, metavar="FILES", help="a .parquet or .csv file, or a folder of them")
    one.add_argument("--out", required=True, metavar="FOLDER", help="new, or where the same forecast was interrupted")
    one.add_argument("--ray", metavar="HOST:PORT", help="spread over this Ray cluster; auto on one of its nodes")
    one.add_argument("--workers", type=whole(1, 1000), default=1, metavar="N", help="processes on the cluster")
    one.add_argument("--cpus", type=whole(1, 1000), default=1, metavar="N", help="cores of each worker (1)")
    one.add_argument("--gpus", type=whole(0, 1000), default=0, metavar="N", help="GPUs of each worker (0)")


def _program(verb: _AddVerb) -> None:
    """The pages, the backbones and this machine."""
    one = verb("app", serving.app, "Serve the pages of the workbench. Ctrl-C ends the server, not the runs.")
    one.add_argument("--port", type=whole(1, 65_535), metavar="N", help="port to listen on (8501)")
    one.add_argument("--address", metavar="HOST", help="address to listen on (127.0.0.1: this machine only)")

    verb("backbones", overview.backbones, "List the language models offered by name.")

    one = verb(
        "receipt",
        receipt.receipt,
        "Measure what float32, bfloat16, 8 and 4 bits of a backbone cost here, and how true they are.",
    )
    one.add_argument("backbone", nargs="?", metavar="BACKBONE", help="name, model id or folder (the default backbone)")
    one.add_argument("--data", type=Path, metavar="DATA.csv", help="table whose windows are read (a bundled sample)")
    settings(one)
