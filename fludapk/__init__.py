"""fludapk: cumulative exposure to fludarabine (F-ara-A) from dose, size and kidney function.

Research and second-check software, not a medical device.
"""

__version__ = "0.1.0"
