"""`build` tells the kind of its source by itself."""

import pytest

from cluster.verbs.build import SourceOptions, build, source_kind
from shards.errors import UsageError


@pytest.mark.parametrize(
    ("sources", "kind"),
    [
        (["torchvision:CIFAR10"], "torchvision"),
        (["images.npz"], "array"),
        (["a/train-images-idx3-ubyte.gz"], "array"),
        (["a/t10k-images.idx3-ubyte"], "array"),
        (["pool-{000..012}.tar", "more/*.tar.gz"], "tars"),
        (["https://example.org/a.tgz"], "tars"),
        (["s3://bucket/pool"], "tars"),
    ],
)
def test_kinds_by_name(sources, kind):
    assert source_kind(sources) == kind


def test_a_folder_is_what_lies_in_it(tmp_path):
    assert source_kind([str(tmp_path)]) == "folder"
    (tmp_path / "a.tar").touch()
    assert source_kind([str(tmp_path)]) == "tars"


@pytest.mark.parametrize("sources", [[], ["a.npz", "b.npz"], ["a.npz", "b.tar"]])
def test_none_or_mixed_sources_are_refused(sources):
    with pytest.raises(UsageError):
        source_kind(sources)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("a.npz", SourceOptions(split="test"), "--split goes with a source of kind torchvision"),
        ("a.tar", SourceOptions(class_folders="yes"), "--class-folders goes with"),
        ("torchvision:MNIST", SourceOptions(labels="y.npy"), "--labels goes with"),
    ],
)
def test_options_of_another_kind_are_refused(source, options, message):
    with pytest.raises(UsageError, match=message):
        build([source], out="never-written", options=options)
