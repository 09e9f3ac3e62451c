"""Over which views of an image the scores of a run are averages, as the run itself says."""

from __future__ import annotations

from typing import Any

import yaml

from selector.scoring.spec import views_of
from selector.tables.layout import RunLayout
from selector.teachers.spec import ViewsName
from shards import storage
from shards.errors import StorageError


def views_of_run(layout: RunLayout) -> ViewsName:
    """From config.yaml; "one" where there is none, as beside tables that were copied alone.

    Raises:
        StorageError: it is damaged, or speaks of views that this version of coursepack lacks.
    """
    if not storage.exists(layout.config):
        return "one"
    try:
        config: Any = yaml.safe_load(storage.read_bytes(layout.config))
        return views_of(config["semantic"])
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise StorageError(
            f"{layout.config} does not say how the run was scored ({error}); restore it, or use "
            "the coursepack that made the run"
        ) from error
