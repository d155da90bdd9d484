"""Several processes as one service: a supervisor keeps them running, and any of them tells the metrics of all."""
