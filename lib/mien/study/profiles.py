"""What the three profiles choose where a study leaves a parameter to them.

demo: seconds, for drawn faces. quick: a coffee break on two cores. full: everything at its best.
"""

from typing import Any

from mien.errors import ParameterError

#: Setting by profile. Where the figures behind a choice are: chapters A1 and B1, and the README.
PROFILES: dict[str, dict[str, Any]] = {
    "demo": {
        "pixel_rows": 1500,  # A1: Training images for the raw-pixel baseline; 0: all
        "hog_cell": 8,  # A1: side of a HOG cell, pixels
        "hog_components": 64,  # A1: principal components kept of the HOG
        "svm_penalty": 10.0,  # A1: C of the RBF SVM
        "unit_model": {"n_splits": 3},  # A2: inner folds of the nested choice
        "repeats": 3,  # A2: times the folds are drawn anew
        "permutations": 10,  # A2: label permutations of the test against chance
        "curve_repeats": 1,  # A2: repeats of the learning curve
        "shuffles": 5,  # A2: shuffles of a unit for its importance
        "tuning_repeats": 1,  # B3: the same, for the network
        "trial_rows": 900,  # B1: of FER2013, of which the small trials see the Training part
        "trial_batch_sizes": (32, 128),
        "trial_epochs": 3,  # of a trial of batch sizes
        "ablation": ("without augmentation",),  # B1: choices that are tried (mien.network.ablation)
        "ablation_epochs": 3,
        "assignment_minutes": 0.1,  # B1: for the assignment's network
    },
    "quick": {
        "pixel_rows": 6000,
        "hog_cell": 6,
        "hog_components": 256,
        "svm_penalty": 10.0,
        "unit_model": {"n_splits": 5},
        "repeats": 10,
        "permutations": 50,
        "curve_repeats": 3,
        "shuffles": 20,
        "tuning_repeats": 3,
        "trial_rows": 4000,
        "trial_batch_sizes": (32, 128, 512),
        "trial_epochs": 3,
        "ablation": (),  # all of them
        "ablation_epochs": 3,
        "assignment_minutes": 1.0,
    },
    "full": {
        "pixel_rows": 0,
        "hog_cell": 6,
        "hog_components": 256,
        "svm_penalty": 10.0,
        "unit_model": {"n_splits": 5},
        "repeats": 20,
        "permutations": 200,
        "curve_repeats": 5,
        "shuffles": 50,
        "tuning_repeats": 10,
        "trial_rows": 40_000,  # all
        "trial_batch_sizes": (32, 128, 512),
        "trial_epochs": 4,
        "ablation": (),
        "ablation_epochs": 6,
        "assignment_minutes": 15.0,
    },
}


def settings(profile: str, name: str) -> Any:
    """Return what a profile chooses for a setting.

    Raises
    ------
    ParameterError
        If the profile or the setting does not exist.

    Examples
    --------
    >>> settings("quick", "hog_cell")
    6
    """
    if profile not in PROFILES:
        raise ParameterError(f"there is no profile {profile!r}; known: {', '.join(PROFILES)}")
    if name not in PROFILES[profile]:
        raise ParameterError(f"profile {profile!r} has no setting {name!r}")
    return PROFILES[profile][name]
