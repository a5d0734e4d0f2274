"""What else could read the Action Units? Other classifiers on the same rows and folds.

    python benchmarks/measured_models.py FOLDER_OF_THE_PERSON

Prints accuracy and balanced accuracy out of fold, clips kept whole, mean over the repeats. Nothing
is chosen inside the folds here, so a row that leads does so with the luck of having been looked at.
"""

import argparse

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from mien.data.person import load_person
from mien.designed.measured_svm import UnitFeatures, mean_rbf
from mien.evaluation.cross_validation import grouped_folds


def models(names) -> dict:
    """Return the rivals, unfitted, for rows with such columns."""
    views, units = UnitFeatures(names), [name for name in names if not name.endswith("_c")]
    one_view = make_pipeline(views, FunctionTransformer(lambda rows: rows[:, : len(units)]))
    bare = [name in units for name in names]
    intensities = make_pipeline(
        FunctionTransformer(lambda rows: rows[:, bare]),
        UnitFeatures(units),
        FunctionTransformer(lambda rows: rows[:, : len(units)]),
    )
    return {
        "three views, mean RBF kernel, C 1 (A2)": make_pipeline(views, SVC(kernel=mean_rbf)),
        "the same, C 1.5": make_pipeline(views, SVC(kernel=mean_rbf, C=1.5)),
        "the same, balanced classes": make_pipeline(
            views, SVC(kernel=mean_rbf, class_weight="balanced")
        ),
        "one view, RBF": make_pipeline(one_view, SVC(gamma=1.0)),
        "one view, RBF, one against the rest": make_pipeline(
            one_view, OneVsRestClassifier(SVC(gamma=1.0))
        ),
        "one view, linear": make_pipeline(one_view, SVC(kernel="linear")),
        "every column standardised, RBF": make_pipeline(one_view, StandardScaler(), SVC()),
        "intensities alone, RBF": make_pipeline(intensities, SVC(gamma=1.0)),
        "logistic regression": make_pipeline(views, LogisticRegression(max_iter=2000)),
        "linear discriminant, shrunk": make_pipeline(
            one_view, LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.6)
        ),
        "Gaussian process": make_pipeline(
            one_view, GaussianProcessClassifier(ConstantKernel(4.0) * RBF(1.0), optimizer=None)
        ),
        "random forest": make_pipeline(
            one_view, RandomForestClassifier(300, min_samples_leaf=2, random_state=0)
        ),
        "extremely random trees": make_pipeline(
            one_view, ExtraTreesClassifier(300, min_samples_leaf=2, random_state=0)
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("person", help="the folder of a target person")
    parser.add_argument("--repeats", type=int, default=10)
    given = parser.parse_args()
    person = load_person(given.person)
    features = person.features("openface")
    labelled = person.labelled(features.has_row)
    rows = features.values[labelled.rows]
    labels, clips = labelled.truth, labelled.clips
    folds = grouped_folds(labels, clips, n_splits=5, n_repeats=given.repeats, seed=0)
    print(f"{len(labels)} rows, {len(set(clips))} clips, {given.repeats} repeats")
    for name, model in models(features.names).items():
        accuracies, balanced = zip(
            *(scores(model, rows, labels, fold) for fold in folds), strict=True
        )
        print(f"{name:42} {np.mean(accuracies):6.1%}   balanced {np.mean(balanced):6.1%}")


def scores(model, rows, labels, fold) -> tuple[float, float]:
    predicted = np.empty_like(labels)
    for number in np.unique(fold):
        train, test = fold != number, fold == number
        predicted[test] = model.fit(rows[train], labels[train]).predict(rows[test])
    return float((predicted == labels).mean()), float(balanced_accuracy_score(labels, predicted))


if __name__ == "__main__":
    main()
