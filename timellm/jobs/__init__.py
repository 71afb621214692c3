"""Background runs. Four rooms and a worker, each of which imports only what stands below it:

- `local` (this machine's queue: launcher, runner, actions, receipts) and `archive` (export and import of runs);
- `cluster` (runs on Ray, run folders at a URL);
- `worker` (the process that fits one run);
- `store` (the database, which alone holds the state of every run).
"""
