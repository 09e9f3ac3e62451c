"""Small real pools and teachers on disk, and the installed command as a user runs it."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from selector.teachers.zoo import build_model

COMMAND = str(Path(sys.executable).with_name("coursepack"))


def write_shard(path: Path, *, images: int, seed: int, size: int = 40) -> Path:
    """A tar of JPEGs of coloured noise, each with a .json member beside it."""
    rng = np.random.default_rng(seed)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(images):
            coarse = rng.integers(0, 256, (5, 5, 3), np.uint8)
            picture = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=90)
            key = f"s{seed:02d}-{number:04d}"
            for name, data in (
                (f"{key}.jpg", buffer.getvalue()),
                (f"{key}.json", b'{"number": %d}' % number),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def write_pool(folder: Path, *, shards: int, images: int) -> Path:
    """`shards` tars of `images` samples each."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(shards):
        write_shard(folder / f"shard-{seed:03d}.tar", images=images, seed=seed)
    return folder


def write_teacher(path: Path, *, name: str = "he/resnet8", num_classes: int = 10) -> Path:
    """Seeded random weights of a zoo network, as safetensors."""
    torch.manual_seed(0)
    model = build_model(name, num_classes=num_classes)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, path)
    return path


def table_hashes(run: Path) -> dict[str, str]:
    """Name of every score and member part -> sha256 of its bytes."""
    parts = [*(run / "scores").glob("*"), *(run / "members").glob("*")]
    return {
        str(part.relative_to(run)): hashlib.sha256(part.read_bytes()).hexdigest() for part in parts
    }


def start_command(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start `coursepack ARGUMENTS...` in a process group of its own."""
    return subprocess.Popen(
        [COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"COURSEPACK_DEBUG": "", **environment},
    )


def run_command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `coursepack ARGUMENTS...` to its end."""
    with start_command(*arguments, **environment) as process:
        output, errors = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)
