"""What commands print of comparisons, searches and reports."""

from landslide_tf.cli import reporting
from landslide_tf.train import Outcome


def test_a_comparison_is_written_after_every_new_part(tmp_path, capsys):
    written = []

    def write():
        path = tmp_path / "table.md"
        path.write_text(f"# {len(written)}\n")
        written.append(path)
        return {"markdown": path, "json": tmp_path / "summary.json"}

    parts = [("a", True), ("b", False), ("c", True), ("d", False)]
    reporting.follow(iter(parts), len(parts), str.upper, write)
    assert capsys.readouterr().out.splitlines() == [
        "[1/4] A: recorded before",
        "[2/4] B: done",
        "[3/4] C: recorded before",
        "[4/4] D: done",
        "# 1",
        "",
        str(tmp_path / "table.md"),
        str(tmp_path / "summary.json"),
    ]
    assert len(written) == 2


def test_what_was_recorded_before_is_shown_all_the_same(tmp_path, capsys):
    path = tmp_path / "table.md"
    path.write_text("all\n")
    reporting.follow([("a", True)], 1, str, lambda: {"markdown": path})
    assert "all" in capsys.readouterr().out


def test_trials_say_their_score_or_why_they_failed(capsys):
    values = {"loss.name": "dice", "training.batch_size": 4}
    good = Outcome(3, "completed", 0.51239, 5, 100, values, "trial-3")
    bad = Outcome(4, "failed", None, 5, None, {}, "trial-4", "out of memory")
    reporting.show_trial(good, "val_miou")
    reporting.show_trial(bad)
    assert capsys.readouterr().out.splitlines() == [
        "trial 3: val_miou 0.5124 (loss.name=dice, training.batch_size=4)",
        "trial 4: failed, out of memory ()",
    ]
