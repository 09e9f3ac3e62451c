"""Tables of a run: where they lie, what their columns mean, how they are written and read."""
