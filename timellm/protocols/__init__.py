"""The experiments of papers, as data and code: which files, splits, horizons, models and seeds.

A protocol plans cells (`plan`), each the configuration of one run; `timellm.jobs.local.protocol_runs` queues the runs
and finds them again; the protocol measures a finished run (`measure`) and makes the table of what was measured
(`table`). A new protocol is one file here and one line in the registry.
"""
