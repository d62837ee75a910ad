"""What every command of the command line owes its users."""

import sys

from landslide_tf.cli.main import main


class Command:
    """Runs the command line in this process, as the installed script does."""

    def __init__(self, monkeypatch, capsys):
        self.monkeypatch = monkeypatch
        self.capsys = capsys

    def __call__(self, *arguments):
        argv = ["landslide-tf", *map(str, arguments)]
        self.monkeypatch.setattr(sys, "argv", argv)
        self.capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        out, err = self.capsys.readouterr()
        return code, out, err

    def refuses(self, *arguments, message):
        """Bad input: status 2 and one line on standard error that says `message`."""
        code, _, err = self(*arguments)
        lines = [line for line in err.splitlines() if line.startswith("error: ")]
        assert code == 2, err
        assert len(lines) == 1, err
        assert message in lines[0], lines[0]
        assert "Traceback" not in err
