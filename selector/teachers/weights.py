"""Reading weights files: safetensors, PyTorch checkpoints, numpy archives; data, never code."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from shards import storage
from shards.errors import UsageError

_TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".tar")
# Where training scripts put the weights inside a checkpoint.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")


def read_weights(uri: str) -> dict[str, Tensor]:
    """The named tensors of a weights file, on the CPU.

    Checkpoints that hold the weights under a usual key are unwrapped.

    Args:
        uri: path or URI ending in .safetensors, .npz, or .pt .pth .bin .ckpt .tar.

    Raises:
        StorageError: the file cannot be read.
        UsageError: another extension, a damaged file, or one that holds anything but tensors.
    """
    name = file_name(uri)
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in (".safetensors", ".npz", *_TORCH_SUFFIXES):
        raise UsageError(
            f"weights {uri} end in {suffix!r}; expected .safetensors, .npz or "
            f"{' '.join(_TORCH_SUFFIXES)}"
        )
    data = storage.read_bytes(uri)
    if suffix == ".safetensors":
        return _from_safetensors(data, uri)
    if suffix == ".npz":
        return _from_npz(data, uri)
    return _from_torch(data, uri)


def file_name(uri: str) -> str:
    """Last part of a path or URI, without a URL's query."""
    path = urlsplit(uri).path if "://" in uri else uri
    return PurePosixPath(path).name


def _from_safetensors(data: bytes, uri: str) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise UsageError(f"{uri} is no readable safetensors file: {error}") from error


def _from_npz(data: bytes, uri: str) -> dict[str, Tensor]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return {name: torch.from_numpy(archive[name]) for name in archive.files}
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        # numpy takes what it does not know for a pickle, and recommends to load that.
        reason = f": {error}" if data.startswith(b"PK") and "pickle" not in str(error) else ""
        raise UsageError(
            f"{uri} is no .npz archive of plain arrays{reason}; save it again with numpy.savez"
        ) from error


def _from_torch(data: bytes, uri: str) -> dict[str, Tensor]:
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        # Untrusted bytes drive torch's unpickler: besides its own errors it raises KeyError,
        # IndexError, struct.error, ... Each means the same: no plain tensors in here.
        raise UsageError(
            f"{uri} does not load as plain tensors ({_reason(error)}). A file that holds a whole "
            "pickled model could run code: load it where you trust it, and save "
            "safetensors.torch.save_file(model.state_dict(), 'weights.safetensors'). Any other "
            "file is damaged, or no PyTorch checkpoint"
        ) from error
    return _unwrapped(content, uri)


def _reason(error: Exception) -> str:
    """The one line of torch's explanation that says what was found."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for line in lines:
        _, unpickler, found = line.partition("WeightsUnpickler error: ")
        if unpickler:
            return found.partition(" was not an allowed")[0]
    return f"{type(error).__name__}: {lines[0] if lines else 'it ends early'}"


def _unwrapped(content: Any, uri: str) -> dict[str, Tensor]:
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not content:
        raise UsageError(f"{uri} holds {type(content).__name__}; expected a dict of named tensors")
    strays = [name for name, value in content.items() if not isinstance(value, Tensor)]
    if strays:
        raise UsageError(
            f"{uri} holds more than tensors: {', '.join(map(str, strays[:3]))}; expected a dict of "
            f"named tensors, bare or under one of {', '.join(_WRAPPERS)}"
        )
    return {str(name): value for name, value in content.items()}
