"""How good an answer is: scores, intervals, calibration, folds, paired tests, raters, attention.

Arrays of labels, probabilities and maps in, numbers and frames out; no model and no data set is
known here. Start with `scores`. Imports the root rooms only.
"""
