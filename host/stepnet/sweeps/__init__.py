"""Many runs of commands as one table of points: on the cores of this machine, or on a cluster.

A point is a command with its options, such as a training with one seed. `sweep_file` reads what
the points are; `grid` and `search` hand them out, all of a table or those that Optuna asks for;
`local_workers` and `cluster` run them; `journal` keeps what is done, and `results` makes the table
of it. `run` has all of that work together.
"""
