"""Pages to look at maps: layers, polygons, two dates side by side."""
