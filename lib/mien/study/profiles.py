"""All settings that a study leaves to its profile, in one table.

demo: seconds, for drawn faces. quick: a coffee break on two cores. full: everything at its best.
Where the figures behind a choice are: chapters A1 and B1, and guides/results.md.
"""

from typing import Any

#: The names of the profiles, in the order of the values below.
PROFILES = ("demo", "quick", "full")

_IMAGE_SVM = {"atoms": 256, "even": 500, "odd": 250, "sample": 4000, "gamma": 1.5, "penalty": 0.02}

#: Setting: the chapters that take it, and what each profile chooses. Plain values: the rooms that
#: take them say what they mean.
SETTINGS: dict[str, tuple[str, Any, Any, Any]] = {
    "pixel_rows": ("A1", 1500, 6000, 0),  # Training images for the raw-pixel baseline; 0: all
    "loss_rows": ("A1", 500, 6000, 12_000),  # of FER2013, whose Training part the hinge loss gets
    "hog_cell": ("A1", 8, 6, 6),  # side of a HOG cell, pixels
    "hog_components": ("A1", 64, 256, 256),  # principal components kept of the HOG
    "svm_penalty": ("A1", 10.0, 10.0, 10.0),  # C of the RBF SVM on HOG
    "image_svm": (  # mien.designed.image_svm.strong_svm
        "A1",
        {"patches": {8: 4}, "edges": {12: 4}, "atoms": 64, "even": 150, "odd": 75}
        | {"sample": 1000, "gamma": 1.0, "penalty": 0.05},
        {"patches": {8: 5}, "edges": {12: 4, 16: 4}, **_IMAGE_SVM},
        {"patches": {8: 5}, "edges": {12: 4, 16: 4, 24: 3}, **_IMAGE_SVM, "atoms": 512},
    ),
    "unit_model": ("A2", {"n_splits": 3}, {"n_splits": 5}, {"n_splits": 5}),  # of its inner folds
    "repeats": ("A2", 3, 10, 20),  # times the folds are drawn anew
    "permutations": ("A2", 1000, 2000, 5000),  # of the test against chance, at 3 ms each
    "curve_repeats": ("A2 B3", 1, 3, 5),  # repeats of the learning curve
    "shuffles": ("A2", 5, 20, 50),  # shuffles of a unit for its importance
    "residual_network": (  # mien.network.architecture.build
        "B1",
        {"stem": 32, "stages": ((32, 1), (64, 0)), "dropout": 0.0},
        {"stem": 64, "stem_blocks": 1, "stages": ((128, 2), (256, 1)), "dropout": 0.3},
        {"stem": 64, "stem_blocks": 1, "stages": ((160, 2), (320, 2)), "dropout": 0.3},
    ),
    "smaller_networks": (  # for machines on which that one cannot learn for long enough in:
        "B1",
        (),
        (
            {"stem": 64, "stages": ((128, 1), (256, 1)), "dropout": 0.3},
            {"stem": 48, "stages": ((96, 1), (192, 1)), "dropout": 0.3},
        ),
        (),
    ),
    "minutes": ("B1", 0.0, 20.0, 0.0),  # for the training of one network; 0: as long as it takes
    "fast_precision": ("B1", False, True, True),  # whichever is faster on this machine
    "training": (  # mien.network.training.Recipe
        "B1",
        {"epochs": 12, "batch_size": 32, "learning_rate": 2e-2},
        {"epochs": 27, "batch_size": 256, "learning_rate": 2e-2, "sizes": (32, 40, 48, 48)},
        {"epochs": 70, "batch_size": 256, "learning_rate": 2e-2, "sizes": (32, 40, 48, 48)}
        | {"mixup": 0.2, "ema": 0.998},
    ),
    "augmentation": (  # mien.network.training.Augment
        "B1",
        {"shift": 0.04, "rotation": 5, "zoom": 0.05},
        {"rotation": 12, "zoom": 0.15, "erase": 0.1},
        {"shift": 0.12, "rotation": 12, "zoom": 0.15, "erase": 0.2},
    ),
    "trial_rows": ("B1", 900, 4000, 40_000),  # of FER2013, of which trials see the Training part
    "trial_batch_sizes": ("B1", (32, 128), (32, 128, 512), (32, 128, 512)),
    "trial_epochs": ("B1", 3, 3, 4),  # of a trial of batch sizes
    "ablation": ("B1", ("without augmentation",), (), ()),  # choices to try; none named: all
    "ablation_epochs": ("B1", 3, 3, 6),
    "assignment_minutes": ("B1", 0.02, 1.0, 15.0),  # for the assignment's network
    "tuning": (  # mien.network.fine_tuning.Tuning; rates: benchmarks/pretend_persons.py
        "B3",
        {"epochs": 8, "learning_rate": 3e-4, "copies": 6},
        {"epochs": 16, "learning_rate": 2e-5, "copies": 16},
        {"epochs": 24, "learning_rate": 2e-5, "copies": 24},
    ),
    "tuning_repeats": ("A1 B3", 1, 3, 10),  # times the folds are drawn anew
}


def settings(profile: str, name: str) -> Any:
    """Return what a profile chooses for a setting."""
    return SETTINGS[name][1 + PROFILES.index(profile)]
