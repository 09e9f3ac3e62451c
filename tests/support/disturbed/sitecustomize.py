"""A bad day for every Python process that finds this folder on its PYTHONPATH. For tests alone.

Decoders: an image whose bytes hold LETHAL-SEGV, LETHAL-EXIT or LETHAL-HANG makes libjpeg's binding
really crash, end or occupy the process that decodes it.

Storage: with DISTURBED_FAULTS="rate:seed:prefix[:prefix...]", calls of the system on paths
under a prefix fail with EIO at that rate, at the moment of the call: opening, listing, flushing to
disk, renaming, linking.
"""

from __future__ import annotations

import builtins
import errno
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import signal
import sys
import time


def make_lethal(module):
    decode = module.decode_jpeg

    def decode_jpeg(data, *args, **kwargs):
        content = bytes(data)
        if b"LETHAL-SEGV" in content:
            signal.raise_signal(signal.SIGSEGV)
        if b"LETHAL-EXIT" in content:
            os._exit(3)
        if b"LETHAL-HANG" in content:
            time.sleep(3600)
        return decode(data, *args, **kwargs)

    module.decode_jpeg = decode_jpeg


class LethalFinder(importlib.abc.MetaPathFinder):
    """Changes simplejpeg when, and only when, somebody imports it."""

    def find_spec(self, name, path, target=None):
        if name != "simplejpeg":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            make_lethal(module)

        spec.loader.exec_module = exec_module
        return spec


def make_faulty(rate, seed, prefixes):
    chance = random.Random(f"{seed}-{os.getpid()}")

    def failing(function):
        def call(path, *args, **kwargs):
            place = path
            if isinstance(path, int):  # an open file: where it lies, Linux tells
                try:
                    place = os.readlink(f"/proc/self/fd/{path}")
                except OSError:
                    place = ""
            if str(place).startswith(prefixes) and chance.random() < rate:
                raise OSError(errno.EIO, "injected", str(place))
            return function(path, *args, **kwargs)

        return call

    builtins.open = failing(builtins.open)
    for name in ("replace", "link", "fsync", "scandir"):
        setattr(os, name, failing(getattr(os, name)))


sys.meta_path.insert(0, LethalFinder())
if os.environ.get("DISTURBED_FAULTS"):
    rate, seed, *prefixes = os.environ["DISTURBED_FAULTS"].split(":")
    make_faulty(float(rate), seed, tuple(prefixes))
