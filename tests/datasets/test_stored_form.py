"""What built folders hold does not change: folders of earlier releases stay readable.

`stored_form.json` was written by the last commit that described each builder alone. A
change of what a configuration stores needs a new version of its builder and a new line.
"""

import hashlib
import json
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from landslide_tf import datasets

STORED = json.loads(Path(__file__).with_name("stored_form.json").read_text())


def digest_of(builder):
    """Digest of the features, keys and metadata of a configuration."""
    info = builder.info
    content = [
        str(builder.version),
        info.features.to_json(),
        repr(info.supervised_keys),
        dict(info.metadata),
        info.homepage,
    ]
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_every_configuration_is_listed():
    assert STORED.keys() == datasets.configurations().keys()
    for name, configs in datasets.configurations().items():
        assert list(STORED[name]) == configs


@pytest.mark.parametrize("name", STORED)
def test_features_and_metadata_are_as_stored(tmp_path, name):
    found = {
        config: digest_of(tfds.builder(f"{name}/{config}", data_dir=tmp_path))
        for config in STORED[name]
    }
    assert found == STORED[name]
