"""Verbs as Ray jobs: what may be submitted, what goes along, and the talk with the job server."""
