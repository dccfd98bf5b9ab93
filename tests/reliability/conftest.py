"""The tiny trainings of tests/cli, for tests that harm them."""

from tests.cli.conftest import trained  # noqa: F401 - fixtures
from tests.cli.test_train import data, target, train  # noqa: F401
