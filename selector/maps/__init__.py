"""Maps: a place in the plane for each image, near where the teacher sees them alike.

`selector.maps.make.make_map` reads the features of a run and writes the fact table `map`.
"""
