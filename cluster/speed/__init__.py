"""Behind `coursepack bench`: the limits of a machine, and how near the engine comes to them."""
