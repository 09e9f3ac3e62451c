"""PU Compression: finds the images of the labelled few's domain in an unlabelled pool."""
