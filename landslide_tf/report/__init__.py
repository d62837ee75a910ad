"""Reports: pictures, charts, tables and pages from plain data."""

from landslide_tf.palette import class_palette
from landslide_tf.report.areas import area_map
from landslide_tf.report.branch_pictures import BranchPicture, branch_grid
from landslide_tf.report.chart import Chart, Line
from landslide_tf.report.comparison import write_benchmark, write_curve
from landslide_tf.report.continual import write_continual
from landslide_tf.report.evaluation import (
    check_evaluation_folder,
    score_tables,
    write_evaluation,
)
from landslide_tf.report.evidential import write_evidential
from landslide_tf.report.inventory import write_inventory_page
from landslide_tf.report.map.page import MapDate, check_map_page, write_map_page
from landslide_tf.report.page import (
    Charts,
    Code,
    Figure,
    KeyNumbers,
    Link,
    Section,
    Table,
    markdown,
    write_page,
)
from landslide_tf.report.pictures import Picture, prediction_grid
from landslide_tf.report.run import evaluation_section, learning_curves, write_run_page
from landslide_tf.report.tables import (
    csv_text,
    format_cell,
    json_text,
    markdown_table,
)

__all__ = [
    "BranchPicture",
    "Chart",
    "Charts",
    "Code",
    "Figure",
    "KeyNumbers",
    "Line",
    "Link",
    "MapDate",
    "Picture",
    "Section",
    "Table",
    "area_map",
    "branch_grid",
    "check_evaluation_folder",
    "check_map_page",
    "class_palette",
    "csv_text",
    "evaluation_section",
    "format_cell",
    "json_text",
    "learning_curves",
    "markdown",
    "markdown_table",
    "prediction_grid",
    "score_tables",
    "write_benchmark",
    "write_continual",
    "write_curve",
    "write_evaluation",
    "write_evidential",
    "write_inventory_page",
    "write_map_page",
    "write_page",
    "write_run_page",
]
