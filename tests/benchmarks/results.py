"""Writes `docs/results.md` from the records that are kept.

usage: python -m tests.benchmarks.results [--out docs/results.md]

The words of the page are in `results.md.jinja`, which names its tables. A table comes
from a record that a script of this folder wrote, from one in `summaries/`, which
`landslide-tf benchmark` wrote as `summary.json`, or from one in `kept/`, which holds
the printed table of a command whose runs are not in the repository. `results.yaml` says
of every table what the first table of the page says of it.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import yaml

from tests.benchmarks import (
    adaptation,
    finetune,
    learning_curve,
    peer_scores,
    permuted,
)
from tests.benchmarks.tables import Table, shown, spread

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent.parent / "docs" / "results.md"
NONE = "\N{EN DASH}"
GRID_SCORES = {
    "landslide_iou": "landslide IoU",
    "landslide_f1": "F1",
    "landslide_precision": "precision",
    "landslide_recall": "recall",
    "miou": "mean IoU",
    "oa": "overall accuracy",
}
REGIONS = ("DF_JS_NY_ZJ", "HZ_WN", "QX")
BRANCHES = ("original", "h", "s", "v")
RULES = {
    "probability_mean": "mean of probabilities",
    **{rule: rule.capitalize() for rule in ("dempster", "murphy", "xiao")},
    "vote": "vote",
}


def record(name: str) -> Any:
    """Reads a record of this folder."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def kept(name: str) -> Table:
    """Returns the table of a record in `kept/`."""
    found = record(f"kept/{name}")
    return Table(found["columns"], found["rows"], found.get("published", {}))


def means(row: dict[str, Any], columns: Iterable[str]) -> list[dict[str, Any]]:
    """Returns some scores of a row of a grid over its seeds."""
    return [{key: row[key][column] for key in ("mean", "std")} for column in columns]


def grid(name: str) -> Table:
    """Returns every row of a grid, and its difference to the first."""
    found = record(f"summaries/{name}")["rows"]
    rows = []
    for row in found:
        gain = row["difference"] and row["difference"]["landslide_iou"]
        rows.append([row["name"], *means(row, GRID_SCORES), gain])
    against = f"landslide IoU against {found[0]['name']}, 95 % interval over images"
    return Table(["row", *GRID_SCORES.values(), against], rows)


def grid_table(name: str, number: int) -> Table:
    """Returns a table that a grid has in the form of its paper."""
    found = record(f"summaries/{name}")["tables"][number]
    columns = found["columns"]
    rows = [[row["name"], *means(row, columns)] for row in found["rows"]]
    published = {
        row["name"]: [row["published"].get(column) for column in columns]
        for row in found["rows"]
        if row["published"]
    }
    return Table(["row", *columns], rows, published)


def mmls() -> Table:
    """Returns both networks beside a map on which everything is landslide."""
    found = record("mmls_seeds")
    parts, scores = ("validation", "test"), {"f1": "F1", "iou": "IoU", "miou": "mIoU"}
    each = [(part, score) for part in parts for score in scores]
    floor = [found["all landslide"][part][score] for part, score in each]
    rows = [["everything landslide", *floor]]
    for name in ("rae_d_mmls", "fstf_net_mmls"):
        seeds = found["results"][name]
        cells = [spread([v[score] for v in seeds[p].values()]) for p, score in each]
        rows.append([f"`{name}`", *cells])
    return Table(["model", *(f"{p} {scores[s]}" for p, s in each)], rows)


def mmlsv2() -> Table:
    """Returns the recipe on both splits of MMLS v2, and the published scores."""
    others = kept("mmlsv2_published")
    rows = []
    for found in record("mmlsv2")["results"]:
        random = "random" in found["data"]
        fitted = found["fitted threshold"]
        decision = "fitted threshold" if fitted else "most probable class"
        name = f"`fstf_net_mmlsv2`, {decision}"
        ground = "random tiles" if random else "separate blocks"
        scores = [found[score] for score in ("landslide_f1", "landslide_iou", "miou")]
        name += ", `--tta`" if found["tta"] else ""
        rows.append([name, f"{ground}, {found['tiles']}", *scores])
    return Table(others.columns, rows + others.rows)


def few_polygons() -> Table:
    """Returns the learning curves of the recipe that `prepare` writes."""
    names = {
        "bijie_landslide/segmentation": "Bijie, counties apart",
        "hokkaido_iburi/clean": "Hokkaido Eastern Iburi",
        "synthetic_landslides/visible": "generated tiles",
    }
    rows = []
    for data, found in record("learning_curve").items():
        for samples in sorted({point["samples"] for point in found["points"]}):
            own = {p["name"]: p for p in found["points"] if p["samples"] == samples}
            means = [
                {key: own[name][key]["landslide_iou"] for key in ("mean", "std")}
                if name in own
                else None
                for name in learning_curve.RECIPES
            ]
            new = own["imagenet"]
            gains = [new.get(key) for key in ("weights", "difference")]
            cells = [gain and gain["landslide_iou"] for gain in gains]
            seeds = len(new["seeds"])
            rows.append([names[data], new["images"], samples, seeds, *means, *cells])
    head = ["data", "test images", "training images", "seeds", "width 0.125"]
    more = ["from ImageNet", "from scratch", "by the weights"]
    return Table([*head, *more, "by weights and recipe"], rows)


def cell_of(values: dict[str, Any], *place: int) -> dict[str, float | None]:
    """Returns a place of the matrices that a record of `continual` holds."""
    found = {}
    for key in ("mean", "std", "low", "high"):
        value = values[key]
        for index in place if value is not None else ():
            value = value[index]
        found[key] = value
    return found


def continual_signs() -> Table:
    """Returns what is left of the first of two contradictory regions."""
    found, rows = record("continual_signs"), []
    for name in ("tsmu", "finetune", "feature_extraction", "single_head"):
        iou = found["methods"][name]["iou"]
        lost = " / ".join(f"{v:.3f}" for v in iou["scores"]["forgetting"]["values"])
        ends = [cell_of(iou["matrix"], 1, k) for k in (0, 1)]
        rows.append([f"`{name}`", ends[0], lost, ends[1]])
    own = [cell_of(found["cross"]["iou"], k, k) for k in (0, 1)]
    rows.append(["`fresh`", own[0], None, own[1]])
    forgetting = "forgetting, seeds 0 / 1 / 2"
    return Table(
        ["method", "first region at the end", forgetting, "second region"], rows
    )


def continual_bijie() -> Table:
    """Returns every method at the end of three regions."""
    found, rows = record("continual_bijie"), []
    methods = ("tsmu", "finetune", "feature_extraction", "ewc", "lwf", "replay")
    for name in (*methods, "single_head", "joint_all", "joint_all_single"):
        iou = found["methods"][name]["iou"]
        last = [cell_of(iou["matrix"], 2, k) for k in range(3)]
        lost = cell_of(iou["scores"]["forgetting"])
        mean = cell_of(iou["scores"]["final_average"])
        rows.append([f"`{name}`", *last, mean, NONE if lost["mean"] is None else lost])
    own = [cell_of(found["cross"]["iou"], k, k) for k in range(3)]
    rows.append(["`fresh`", *own, None, None])
    return Table(
        ["method", *(f"`{name}`" for name in REGIONS), "mean", "forgetting"], rows
    )


def continual_bijie_fresh() -> Table:
    """Returns a network of each region on every region."""
    cross = record("continual_bijie")["cross"]["iou"]
    rows = [
        [f"`{name}`", *(cell_of(cross, k, j) for j in range(3))]
        for k, name in enumerate(REGIONS)
    ]
    return Table(["network of", *(f"on `{name}`" for name in REGIONS)], rows)


def continual_bijie_steps() -> Table:
    """Returns TSMU after every region; what it has not met yet in parentheses."""
    iou = record("continual_bijie")["methods"]["tsmu"]["iou"]
    rows = []
    for step, name in enumerate(REGIONS):
        met = [cell_of(iou["matrix"], step, k) for k in range(step + 1)]
        later = [cell_of(iou["zero_shot"], step, k) for k in range(step + 1, 3)]
        rows.append([f"after `{name}`", *met, *(f"({shown(v)})" for v in later)])
    return Table(["", *(f"on `{name}`" for name in REGIONS)], rows)


def method_name(name: str) -> str:
    """Returns the words for a branch, a rule or a variant."""
    branch = f"branch `{name}`" if name in BRANCHES else f"`{name}`"
    return RULES.get(name, branch)


def accuracy(row: dict[str, Any]) -> dict[str, float]:
    """Returns the accuracy of a method over seeds."""
    return {"mean": row["accuracy"], "std": row["accuracy_sd"]}


def gain(row: dict[str, Any]) -> dict[str, float] | None:
    """Returns the accuracy of a method against `original`, which has none itself."""
    if row["difference"] is None:
        return None
    return {"estimate": row["difference"], "low": row["low"], "high": row["high"]}


def evidential(part: str) -> Table:
    """Returns branches, rules and variants on one split."""
    found = record("evidential")[part]
    plain = {row["method"]: row for row in found["uncalibrated"]}
    rows = []
    for row in found["methods"]:
        both = {
            k: {"mean": row[k], "std": row[f"{k}_sd"]} for k in ("f1", "auc", "ece")
        }
        raw = plain[row["method"]]
        rows.append(
            [
                method_name(row["method"]),
                accuracy(row),
                row["precision"],
                row["recall"],
                *both.values(),
                " ".join(str(n) for line in row["confusion"] for n in line),
                accuracy(raw),
                gain(row),
            ]
        )
    head = ["method", "accuracy", "precision", "recall", "F1", "AUC", "ECE"]
    against = "accuracy against `original`, 95 % interval over images"
    return Table([*head, "TN FP FN TP", "accuracy, not calibrated", against], rows)


def evidential_imagenet() -> Table:
    """Returns the accuracy on both splits, from scratch and from ImageNet weights."""
    found, rows = record("evidential"), []
    parts = [
        f"{split}_{start}"
        for split in ("county", "released")
        for start in ("scratch", "imagenet")
    ]
    by_part = {
        part: {row["method"]: row for row in found[part]["methods"]} for part in parts
    }
    for method in by_part[parts[0]]:
        cells: list[Any] = [method_name(method)]
        for part in parts:
            row = by_part[part][method]
            cells += [accuracy(row), gain(row)]
        rows.append(cells)
    head = ["method"]
    for split in ("counties apart", "released lists"):
        for start in ("from scratch", "from ImageNet"):
            head += [f"{split}, {start}", "against `original`"]
    return Table(head, rows)


def degraded(part: str) -> Table:
    """Returns the accuracy on images with noise and blur."""
    found = record("evidential")[part]["accuracy_of_degraded_images"]
    rows = [[method_name(name), *values.values()] for name, values in found.items()]
    return Table(["accuracy", *next(iter(found.values()))], rows)


def tables() -> dict[str, Table]:
    """Returns every table of the page by name."""
    names = sorted(path.stem for path in (FOLDER / "kept").glob("*.json"))
    grids = sorted(path.stem for path in (FOLDER / "summaries").glob("*.json"))
    foreign = sorted(path.stem for path in (FOLDER / "permutations").glob("*.json"))
    regions = record("adaptation")
    return {
        **{name: kept(name) for name in names},
        **{name: grid(name) for name in grids},
        **{
            f"{name}_{number + 3}": grid_table(name, number)
            for name in grids
            for number in range(len(record(f"summaries/{name}")["tables"]))
        },
        **{
            f"{name}_permuted": permuted.table(record(f"permutations/{name}")["points"])
            for name in foreign
        },
        "peer_scores": peer_scores.table(record("peer_scores")["rows"]),
        "mmls": mmls(),
        "mmlsv2": mmlsv2(),
        "few_polygons": few_polygons(),
        "finetune": finetune.table(record("finetune")),
        "continual_signs": continual_signs(),
        "continual_bijie": continual_bijie(),
        "continual_bijie_fresh": continual_bijie_fresh(),
        "continual_bijie_steps": continual_bijie_steps(),
        "adaptation_visible": adaptation.table(regions["visible"]["points"]),
        "adaptation_hokkaido": adaptation.table(regions["hokkaido"]["points"]),
        "evidential_counties": evidential("county"),
        "evidential_counties_degraded": degraded("county"),
        "evidential_released": evidential("released"),
        "evidential_released_degraded": degraded("released"),
        "evidential_imagenet": evidential_imagenet(),
    }


def commands(name: str) -> str:
    """Returns the commands of a record in `kept/` as a code block."""
    lines = "\n".join(record(f"kept/{name}")["commands"])
    return f"```bash\n{lines}\n```"


def overview(found: dict[str, Table]) -> str:
    """Returns the table of one line a row of every table, with its protocol."""
    lines = []
    plan = yaml.safe_load((FOLDER / "results.yaml").read_text(encoding="utf-8"))
    for name, about in plan.items():
        table = found[name]
        place = table.columns.index(about["column"])
        link = re.sub(r"[^\w -]", "", about["section"].lower()).replace(" ", "-")
        for row in table.rows:
            if row[0] in about.get("skip", ()):
                continue
            parts = [about.get("label"), str(row[0])]
            if "also" in about:
                also = table.columns.index(about["also"])
                parts[-1] += f", {about['also']}: {row[also]}"
            value, others = shown(row[place]), table.published_cell(row, place)
            interval = about["interval"]
            if interval == "difference":
                interval = shown(row[-1])
            ours = [about["seeds"], about["score"], value, interval, others]
            if "others" in about and row in kept(about["others"]).rows:
                ours = [NONE, about["score"], "", "", value]
            label = " ".join(filter(None, parts))
            lines.append(
                [about["data"], label, *ours, f"[{about['section']}](#{link})"]
            )
    head = ["data", "network or method", "seeds", "score", "value"]
    head += ["interval, or difference", "published", "section"]
    return Table(head, lines).markdown()


def page() -> str:
    """Returns the page."""
    found = tables()
    text = (FOLDER / "results.md.jinja").read_text(encoding="utf-8")
    made = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return made.from_string(text).render(
        overview=overview(found),
        command=commands,
        table=lambda name: found[name].markdown(),
    )


def main() -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.parse_args().out.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
