"""Values that labels, maps and networks share; imports nothing."""

IGNORE_VALUE = 255  # the label of a pixel without a class
