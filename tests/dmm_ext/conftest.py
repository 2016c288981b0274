import sys

import pytest


@pytest.fixture(scope="session")
def inside_engine(engine):
    """Make sd-scripts' modules importable, as they are in the trainer's own process."""
    sys.path.insert(0, str(engine))
    yield engine
    sys.path.remove(str(engine))
