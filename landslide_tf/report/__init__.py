"""Reports: pictures, curves, tables and pages from plain data."""

from landslide_tf.palette import class_palette
from landslide_tf.report.benchmark import benchmark_markdown, write_benchmark
from landslide_tf.report.branch_pictures import BranchPicture, branch_grid
from landslide_tf.report.chart import Chart, Line
from landslide_tf.report.continual import continual_markdown, write_continual
from landslide_tf.report.curves import curves
from landslide_tf.report.evaluation import (
    average_rows,
    class_rows,
    confusion_rows,
    object_rows,
    write_evaluation,
)
from landslide_tf.report.evidential import write_evidential
from landslide_tf.report.map_page import MapDate, write_map_page
from landslide_tf.report.page import (
    Charts,
    Code,
    Figure,
    KeyNumbers,
    Link,
    Section,
    Table,
    write_page,
)
from landslide_tf.report.pictures import Picture, prediction_grid
from landslide_tf.report.run_page import write_run_page
from landslide_tf.report.tables import (
    csv_text,
    format_cell,
    json_text,
    markdown_table,
)
from landslide_tf.report.transfer import curve_markdown, write_curve

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
    "average_rows",
    "benchmark_markdown",
    "branch_grid",
    "class_palette",
    "class_rows",
    "confusion_rows",
    "continual_markdown",
    "csv_text",
    "curve_markdown",
    "curves",
    "format_cell",
    "json_text",
    "markdown_table",
    "object_rows",
    "prediction_grid",
    "write_benchmark",
    "write_continual",
    "write_curve",
    "write_evaluation",
    "write_evidential",
    "write_map_page",
    "write_page",
    "write_run_page",
]
