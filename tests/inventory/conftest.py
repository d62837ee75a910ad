import pytest

from tests.contracts.command import Command


@pytest.fixture
def command(monkeypatch, capsys):
    return Command(monkeypatch, capsys)
