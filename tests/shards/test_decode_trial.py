"""Images that really kill the process that decodes them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from shards import decode_trial
from shards.decode import decode
from shards.decode_trial import DecodeTrial
from tests.support import images
from tests.support.lethal import DISTURBED, lethal_jpeg


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Iterator[DecodeTrial]:
    monkeypatch.syspath_prepend(str(DISTURBED))
    trial = DecodeTrial()
    yield trial
    trial.close()
    trial.close()


def test_sound_and_broken_images_are_survived_and_lethal_ones_told(trial: DecodeTrial) -> None:
    sound = images.jpeg()
    assert trial.verdict(sound) is None
    assert trial.verdict(memoryview(images.png())) is None
    assert trial.verdict(b"no image") is None, "an error is not fatal"
    assert trial.verdict(lethal_jpeg(sound, "SEGV")) == (
        "decoding this image kills the process (signal 11)"
    )
    assert trial.verdict(sound) is None, "a new process goes on"
    assert trial.verdict(lethal_jpeg(sound, "EXIT")) == ("decoding this image ends the process (3)")
    decode(lethal_jpeg(sound, "SEGV"))  # here, where nothing is disturbed, it is an image


def test_a_suspect_is_decoded_as_it_will_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DISTURBED))
    trial = DecodeTrial(least=(8, 8))
    try:
        assert trial.verdict(images.jpeg()) is None
        assert trial.verdict(lethal_jpeg(images.jpeg(), "EXIT")) is not None
    finally:
        trial.close()


def test_an_image_that_never_ends_is_stopped(
    trial: DecodeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The limit is a constant of the module, which the child imports anew.
    program = "import shards.decode_trial as t; t.LIMIT_S = 0.3; t.main()"
    start = decode_trial.subprocess.Popen

    def popen(command: list[str], **options: object) -> object:
        return start([sys.executable, "-c", program, command[-1]], **options)

    monkeypatch.setattr(decode_trial.subprocess, "Popen", popen)
    reason = trial.verdict(lethal_jpeg(images.jpeg(), "HANG"))
    assert reason == "decoding this image does not end within 60 s"
