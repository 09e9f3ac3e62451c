"""From a recipe to row_ids: bind it to a run, stream the rows, carry out the steps.

`bind` makes a plan, `source` streams candidate rows, `rows` decides about one row alone, `rank`
and `combine` about many, `pipeline` runs all of it. `selector.selection` is the way in.
"""
