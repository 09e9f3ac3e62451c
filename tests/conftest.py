"""What every test shares: hypothesis without deadlines, on examples that never change."""

from __future__ import annotations

import os

import hypothesis

# Deadlines fail on busy machines; derandomised examples make a failure here a failure everywhere.
# HYPOTHESIS_PROFILE=explore searches anew, with ten times the examples.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
