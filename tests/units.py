"""What a person's table of Action Units says, in OpenFace's own numbers."""

import numpy as np

from mien.data.measured import UNITS


def _of(person, suffixes):
    found = np.full((len(person.faces), len(UNITS)), np.nan)
    read = person.features("openface")
    for column, unit in enumerate(UNITS):
        own = [unit + suffix for suffix in suffixes if unit + suffix in read.names]
        if own:
            found[:, column] = read.values[:, read.names.index(own[0])]
    return found


def intensities(person):
    """Return the intensities of the 17 units, 0..5; presences where there are no intensities."""
    shares = _of(person, ("_r", ""))
    return np.round(5 * (_of(person, ("_c",)) if np.isnan(shares).all() else shares), 5)


def presences(person):
    """Return the presences of the 17 units, 0 or 1."""
    return np.floor(_of(person, ("_c",)) + 0.5)
