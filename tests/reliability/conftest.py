"""The tiny command-line trainings of tests/cli/test_train.py, for tests that harm them."""

from tests.cli.test_train import data, target, train  # noqa: F401 - fixtures
