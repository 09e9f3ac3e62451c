from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from distiller.card import read_card, write_card, write_student, write_transition
from distiller.inputs import open_inputs
from distiller.session import open_session
from shards.errors import CoursepackError
from tests.distiller.small_runs import small_config


def test_the_students_file_says_what_it_is_and_repeats_to_the_byte(tmp_path: Path) -> None:
    inputs = open_inputs(small_config(tmp_path), device=torch.device("cpu"), threads=1)
    session = open_session(inputs, state=None)
    digests = {write_student(session, tmp_path / f"{i}.safetensors") for i in range(8)}
    assert digests == {hashlib.sha256((tmp_path / "0.safetensors").read_bytes()).hexdigest()}
    with safe_open(tmp_path / "0.safetensors", framework="pt") as file:
        about = json.loads(file.metadata()["coursepack"])
        names = set(file.keys())
    assert about["name"] == "lenet/5-half"
    assert about["preprocessing"] == session.preprocessing.to_dict()
    assert names == set(session.student.state_dict())


def test_q_is_kept_from_start_and_end(tmp_path: Path) -> None:
    path = tmp_path / "transition.safetensors"
    write_transition(path, start_CC=torch.eye(2), end_CC=torch.full((2, 2), 0.5))
    with safe_open(path, framework="pt") as file:
        assert torch.equal(file.get_tensor("start"), torch.eye(2))
        assert torch.equal(file.get_tensor("end"), torch.full((2, 2), 0.5))


def test_a_card_is_read_as_written_and_none_is_none(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    assert read_card(path) is None
    write_card(path, {"card_format": 1, "steps": 3})
    assert read_card(path) == {"card_format": 1, "steps": 3}


@pytest.mark.parametrize("content", ["", "[]", "{}", "no json"])
def test_a_file_that_is_no_card_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "card.json").write_text(content)
    with pytest.raises(CoursepackError, match=r"card\.json is no card of a run"):
        read_card(tmp_path / "card.json")


def test_a_card_of_another_format_is_refused(tmp_path: Path) -> None:
    write_card(tmp_path / "card.json", {"card_format": 99})
    with pytest.raises(CoursepackError, match="card format 99, expected 1"):
        read_card(tmp_path / "card.json")
