"""docs/results.md and its figures, made from the files of results and from nothing else."""
