"""How good an answer is: scores with intervals, calibration, folds, paired tests, raters.

Arrays of labels and probabilities in, numbers and frames out; no model and no data set is known
here. Start with `scores`. Imports the root rooms only.
"""
