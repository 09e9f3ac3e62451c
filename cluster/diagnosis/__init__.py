"""Is this machine, or every node of a cluster, fit to run? Facts of a node, and what they mean."""
