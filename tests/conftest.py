"""What every test shares: hypothesis without deadlines, one thread a library, Ctrl-C that works."""

from __future__ import annotations

import os
import signal

import hypothesis

# Before torch and its like are imported, here and in what tests start: small matrices on several
# threads, in several test processes on two cores, spend their time waiting for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with Ctrl-C ignored, and so would be what the tests start and stop.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Deadlines fail on busy machines; derandomised examples make a failure here a failure everywhere.
# HYPOTHESIS_PROFILE=explore searches anew, with ten times the examples.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
