"""The published tables of ecoregion_landslides, file names, and the split."""

import json
from collections import Counter

import openpyxl
import pytest

from landslide_tf.datasets import ecoregion_landslides as ecoregion
from landslide_tf.datasets.common.splits import overlapping_footprints
from landslide_tf.errors import DataError

FOLDER = "data/ecoregion_landslides"
HEADER = ["No.", "US level I ecoregion", "LL latitude", "LL longitude", "UR latitude",
          "UR longitude", "Pre-event image date", "Post-event image date"]  # fmt: skip
GOOD = [1, "Eastern Temperate Forests", 32.4, -84.9, 32.5, -84.8, 20141210, 20160513]


@pytest.fixture(scope="module")
def golden(shared):
    return json.loads((shared / "specs" / "golden" / "tsmu.json").read_text())


@pytest.fixture(scope="module")
def inventory(shared):
    name = "Identified_events_from_USGS_inventory.csv"
    return ecoregion.read_inventory(shared / FOLDER / name)


@pytest.fixture(scope="module")
def pairs(shared):
    return ecoregion.read_pairs(shared / FOLDER / "Coordinates for all the images.xlsx")


def rows_of(faults):
    rows = {}
    for fault in faults:
        rows.setdefault(fault.kind, []).append(fault.row)
    return rows


def test_region_names(golden):
    names = golden["region_names"]
    assert list(ecoregion.REGIONS) == names["canonical"]
    assert list(ecoregion.CODES) == names["codes"]
    for case in names["normalise"]:
        if "error" in case:
            with pytest.raises(DataError, match="Expected an ecoregion"):
                ecoregion.region_index(case["in"])
        else:
            assert ecoregion.region_index(case["in"]) == case["out"]


def test_file_names(golden):
    for case in golden["filenames"]:
        if case.get("error"):
            with pytest.raises(DataError, match="must be named like") as caught:
                ecoregion.parse_pair_name(case["name"])
            assert case["name"] in str(caught.value)
            continue
        name = ecoregion.parse_pair_name(case["name"])
        assert list(name.box.lower_left) == case["ll"]
        assert list(name.box.upper_right) == case["ur"]
        assert name.ls_id == case["ls_id"]
        assert name.country == case["country"]
        assert name.date == case["date"]
        assert name.phase == case["phase"]
        assert list(name.repairs) == case["repairs"]


@pytest.mark.parametrize(
    ("name", "repairs"),
    [
        ("GE_40.000000_-105.000000_40.100000_-105.100000_LS_7_20130101_PRE.jpg",
         ("longitude_swap",)),
        ("GE_40.000000_105.100000_40.100000_105.000000_LS_7_20130101_PRE.jpg",
         ("ll_longitude_sign", "ur_longitude_sign")),
        ("GE_40.000000_7.000000_40.100000_7.100000_LS_7_IT_20130101_POST", ()),
    ],
)  # fmt: skip
def test_repairs_of_file_names(name, repairs):
    assert ecoregion.parse_pair_name(name).repairs == repairs


@pytest.mark.parametrize(
    "name",
    [
        "image.jpg", "",
        "GE_95.000000_-105.100000_40.100000_-105.000000_LS_7_US_20130101_PRE.jpg",
        "GE_40.000000_-105.100000_40.000000_-105.000000_LS_7_US_20130101_PRE.jpg",
        "GE_40.000000_-105.100000_40.100000_-105.000000_LS_7_US_20130101_MID.jpg",
        "GE_40.00000_-105.100000_40.100000_-105.000000_LS_7_US_20130101_PRE.jpg",
    ],
)  # fmt: skip
def test_other_file_names_are_refused(name):
    with pytest.raises(DataError, match="rename the file") as caught:
        ecoregion.parse_pair_name(name)
    assert "\n" not in str(caught.value)


def test_inventory_counts(inventory, golden):
    events, _ = inventory
    facts = golden["data"]["inventory_csv"]
    assert len(events) == facts["events"]
    assert Counter(e.region for e in events) == facts["events_by_region"]
    assert Counter(e.inventory for e in events) == facts["events_by_inventory_stripped"]
    confidence = {str(k): n for k, n in Counter(e.confidence for e in events).items()}
    assert confidence == facts["confidence"]
    assert sum(not e.ls_id for e in events) == facts["ls_id_blank"]
    assert sum(e.ls_id_lossy for e in events) == facts["ls_id_scientific_notation"]
    assert sum(e.fatalities is not None for e in events) == 4
    ids = [e.object_id for e in events]
    assert ids == sorted(set(ids))
    assert (ids[0], ids[-1]) == (1, 64165)
    assert min(e.latitude for e in events) == pytest.approx(32.4613, abs=1e-4)
    assert max(e.longitude for e in events) == pytest.approx(-71.2165, abs=1e-4)


def test_inventory_faults(inventory, golden):
    events, faults = inventory
    facts = golden["data"]["inventory_csv"]
    rows = rows_of(faults)
    first, last = facts["blank_rows_lines"]
    assert rows["blank_row"] == list(range(first, last + 1))
    assert len(rows["region_spelling"]) == 723
    tabs = [f for f in faults if f.kind == "stray_tab" and "`Inventory`" in f.detail]
    assert len(tabs) == 19
    assert len(rows["ls_id_lossy"]) == 23
    assert rows["year_only"] == [1117]
    twins = [
        [int(fault.detail.split("row ")[1].split(";")[0]), fault.row]
        for fault in faults
        if fault.kind == "duplicate_point"
    ]
    assert twins == facts["duplicate_coordinate_line_pairs"]
    assert "unreadable" not in rows
    year = next(event for event in events if event.row == 1117)
    assert (year.date.isoformat(), year.date_precision) == ("2014-01-01", "year")


def test_pairs_counts(pairs, golden):
    table, _ = pairs
    facts = golden["data"]["pairs_workbook"]
    assert [pair.number for pair in table] == list(range(1, 498))
    assert [pair.row for pair in table] == list(range(7, 504))
    assert Counter(pair.region for pair in table) == facts["by_region"]
    sample = facts["sample_row"]
    assert table[0].region == sample["region"]
    assert list(table[0].box.lower_left) == sample["ll"]
    assert list(table[0].box.upper_right) == sample["ur"]
    assert (table[0].pre, table[0].post) == (sample["pre"], sample["post"])
    sizes = sorted(pair.box.size[0] for pair in table)
    assert sizes[len(sizes) // 2] == pytest.approx(239, abs=1)
    widest = max(table, key=lambda pair: pair.box.size[0])
    assert widest.number == facts["largest_no"]
    assert widest.box.size == pytest.approx((10_400, 5_800), rel=0.01)


def test_pairs_faults(pairs, golden):
    table, faults = pairs
    facts = golden["data"]["pairs_workbook"]
    by_kind = {}
    for fault in faults:
        by_kind.setdefault(fault.kind, []).append(int(fault.key))
        assert fault.row == int(fault.key) + 6
    swapped = [m["no"] for m in facts["malformed"] if "latitudes" in m["defect"]]
    assert by_kind == {
        "latitude_swap": swapped,
        "same_date": [313],
        "aspect": facts["implausible_aspect_no"],
    }
    for entry in facts["malformed"]:
        pair = table[entry["no"] - 1]
        written = sorted([entry["ll"][0], entry["ur"][0]])
        assert [pair.box.lower_left[0], pair.box.upper_right[0]] == written


def test_overlapping_boxes(pairs, golden):
    table, _ = pairs
    facts = golden["data"]["pairs_workbook"]["overlapping_box_pairs_after_repair"]
    found = Counter()
    for k, one in enumerate(table):
        for two in table[k + 1 :]:
            a, b = one.box.bounds, two.box.bounds
            wide = min(a[2], b[2]) - max(a[0], b[0])
            high = min(a[3], b[3]) - max(a[1], b[1])
            if wide > 0 and high > 0:
                assert one.region == two.region
                found[one.region] += 1
    assert found == facts


def test_splits_of_the_published_pairs(pairs, golden):
    table, _ = pairs
    for index, region in enumerate(ecoregion.REGIONS):
        facts = golden["splits"]["by_region"][region]
        boxes = {pair.number: pair.box for pair in table if pair.region == region}
        split = ecoregion.split_boxes(index, boxes)
        sizes = Counter(split.values())
        assert sizes == {k: facts[k] for k in ("train", "validation", "test")}
        for name, key in (("test", "test_first5"), ("validation", "val_first5")):
            members = sorted(number for number, part in split.items() if part == name)
            assert members[:5] == facts[key]
        groups = overlapping_footprints({str(k): b.bounds for k, b in boxes.items()})
        assert all(len({split[int(name)] for name in group}) == 1 for group in groups)


def test_figure_pairs(shared, pairs, golden):
    path = shared / FOLDER / "Coordinates for images used in figures.xlsx"
    tables, faults = ecoregion.read_figure_pairs(path)
    facts = golden["data"]["figures_workbook"]
    assert {name: len(found) for name, found in tables.items()} == facts["tables"]
    assert not faults
    known = {(p.region, p.box.key, p.pre, p.post) for p in pairs[0]}
    shown = [(p.region, p.box.key, p.pre, p.post) for t in tables.values() for p in t]
    assert len(shown) == 32
    assert len(set(shown)) == 23
    assert set(shown) <= known
    with pytest.raises(DataError, match="table of all pairs"):
        ecoregion.read_figure_pairs(path.parent / "Coordinates for all the images.xlsx")


def workbook(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("column", "value", "detail"),
    [(0, "x", "invalid literal"), (1, "Atlantis", "Atlantis"), (2, None, "float"),
     (3, 190.0, "190"), (4, 32.4, "no area"), (6, 20141310, "month"),
     (6, 20200101, "later than")],
)  # fmt: skip
def test_rows_that_cannot_be_read_are_reported(tmp_path, column, value, detail):
    bad = [value if k == column else cell for k, cell in enumerate(GOOD)]
    path = workbook(tmp_path / "p.xlsx", [["Title"], [], HEADER, GOOD, bad])
    table, faults = ecoregion.read_pairs(path)
    assert len(table) == 1
    assert [(f.row, f.kind) for f in faults] == [(5, "unreadable")]
    assert detail in faults[0].detail


def test_tables_as_csv(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(
        "no,region,ll_lat,ll_lon,ur_lat,ur_lon,pre,post\n"
        "1,ETF,32.4,-84.9,32.5,-84.8,20141210,20160513\n"
    )
    (pair,), faults = ecoregion.read_pairs(path)
    assert pair.region == "EASTERN_TEMPERATE_FORESTS"
    assert not faults


@pytest.mark.parametrize("reader", ["read_inventory", "read_pairs"])
@pytest.mark.parametrize("fault", ["header", "empty", "broken", "encoding"])
def test_other_files_are_refused(tmp_path, reader, fault):
    path = tmp_path / "table.xlsx"
    if fault == "header":
        workbook(path, [["a", "b"], [1, 2]])
    elif fault == "empty":
        workbook(path, [])
    elif fault == "broken":
        path.write_bytes(b"PK\x03\x04 no workbook")
    else:
        path = tmp_path / "table.csv"
        path.write_bytes(b"a,b\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"table\.(xlsx|csv)") as caught:
        getattr(ecoregion, reader)(path)
    assert "\n" not in str(caught.value)


def test_inventory_as_a_workbook_keeps_identifiers(tmp_path):
    header = ["OBJECTID", "Date", "Fatalities", "Confidence", "Inventory", "LS_ID",
              "Info_source", "InventoryURL", "Notes", "Latitude", "Longitude",
              "US Level I ecoregion"]  # fmt: skip
    row = [7, "20110927", 3, 8, "\tNorth Carolina GS", 201001000042.0, " ", "u", "n",
           35.5, -82.5, "NWFM"]  # fmt: skip
    bad = [8, "soon", None, 8, "", "", "", "", "", 35.5, -82.5, "NWFM"]
    path = workbook(tmp_path / "i.xlsx", [header, row, [None], bad])
    (event,), faults = ecoregion.read_inventory(path)
    assert event.ls_id == "201001000042"
    assert not event.ls_id_lossy
    assert event.date.isoformat() == "2011-09-27"
    assert event.info_source == ""
    assert event.fatalities == 3
    assert {f.kind for f in faults} == {
        "region_spelling", "stray_tab", "blank_row", "unreadable",
    }  # fmt: skip
