"""The cheap half of a run: what it works on, before anything is decoded or asked of a teacher."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from distiller.config import DistillConfig
from distiller.data.image_index import ImageIndex
from distiller.data.lineage import Lineage, read_lineage
from distiller.identity import run_identity
from distiller.objective_options import SupervisedOptions
from distiller.training_data import Loading
from selector.teachers.load import Teacher, load_teacher
from selector.teachers.preprocess import Preprocessing
from selector.teachers.zoo import default_preprocessing
from shards.errors import UsageError


@dataclass(frozen=True)
class Inputs:
    """What is needed to tell whether a run is the one asked for.

    Attributes:
        config: what was asked for.
        teacher: None only where the configuration has none.
        loading: how any set of images is read.
        train_index: where the training images lie; nothing is decoded yet.
        labelled_index: of the images of data.labelled, the last of `train_index`, or None.
        lineage: what the export that made the training shards says of them, if anything.
    """

    config: DistillConfig
    teacher: Teacher | None
    loading: Loading
    train_index: ImageIndex
    labelled_index: ImageIndex | None
    lineage: Lineage | None

    def identity(self) -> dict[str, Any]:
        """What decides the run's result; see `distiller.identity`."""
        return run_identity(
            self.config,
            teacher=None if self.teacher is None else self.teacher.fingerprint,
            data=self.train_index.fingerprint,
            weights=None if self.lineage is None else self.lineage.fingerprint,
        )


def open_inputs(config: DistillConfig, *, device: torch.device, threads: int) -> Inputs:
    """Load the teacher and walk the headers of the training shards.

    Raises:
        UsageError: the configuration does not fit the files it names.
        CoursepackError: those files cannot be read.
    """
    teacher = None if config.teacher is None else load_teacher(config.teacher, device=str(device))
    loading = Loading(
        options=config.data,
        preprocessing=_preprocessing(config, teacher),
        device=device,
        threads=threads,
        num_classes=_class_count(config, teacher),
        class_names=None if teacher is None else teacher.class_names,
    )
    supervised = isinstance(config.objective, SupervisedOptions)
    train_index = loading.index(config.data.train, labelled=supervised)
    labelled_index = None
    if config.data.labelled is not None:
        needed = config.data.labelled_ce is not None
        labelled_index = loading.index(config.data.labelled, labelled=needed)
        train_index = train_index.followed_by(labelled_index)
    lineage = read_lineage(train_index)
    return Inputs(config, teacher, loading, train_index, labelled_index, lineage)


def pick_device(device: str) -> torch.device:
    """`auto` becomes cuda where there is one.

    Raises:
        UsageError: CUDA is asked for and not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device is {device!r}, but torch finds no CUDA device; set device: cpu")
    return torch.device(device)


def _class_count(config: DistillConfig, teacher: Teacher | None) -> int:
    asked = config.student.num_classes
    if teacher is None:
        assert asked is not None  # the configuration was checked for this
        return asked
    if asked is not None and asked != teacher.num_classes:
        raise UsageError(
            f"student.num_classes is {asked}, but the teacher {teacher.name} has "
            f"{teacher.num_classes} classes; leave it out"
        )
    return teacher.num_classes


def _preprocessing(config: DistillConfig, teacher: Teacher | None) -> Preprocessing:
    if teacher is not None:
        return teacher.preprocessing
    if config.student.preprocessing is not None:
        return Preprocessing.from_dict(config.student.preprocessing)
    return default_preprocessing(config.student.name)
